/// The properties of packets, by their identifiers (MQTT 5, section 2.2.2.2).
///
/// Those that only clients send, except the ones that this client sends, are missing.
enum PropertyKind: UInt8 {
  case payloadFormatIndicator = 0x01
  case messageExpiryInterval = 0x02
  case contentType = 0x03
  case responseTopic = 0x08
  case correlationData = 0x09
  case subscriptionIdentifier = 0x0B
  case sessionExpiryInterval = 0x11
  case assignedClientIdentifier = 0x12
  case serverKeepAlive = 0x13
  case authenticationMethod = 0x15
  case authenticationData = 0x16
  case responseInformation = 0x1A
  case serverReference = 0x1C
  case reasonString = 0x1F
  case receiveMaximum = 0x21
  case topicAliasMaximum = 0x22
  case topicAlias = 0x23
  case maximumQoS = 0x24
  case retainAvailable = 0x25
  case userProperty = 0x26
  case maximumPacketSize = 0x27
  case wildcardSubscriptionAvailable = 0x28
  case subscriptionIdentifierAvailable = 0x29
  case sharedSubscriptionAvailable = 0x2A

  /// The encoding of a property's value (MQTT 5, section 1.5).
  enum Encoding {
    /// One byte, whose value is 0 or 1.
    case flag
    case twoBytes
    case fourBytes
    case variableInteger
    case text
    case binary
    case pair
  }

  var encoding: Encoding {
    switch self {
    case .payloadFormatIndicator, .maximumQoS, .retainAvailable, .wildcardSubscriptionAvailable,
      .subscriptionIdentifierAvailable, .sharedSubscriptionAvailable:
      .flag
    case .serverKeepAlive, .receiveMaximum, .topicAliasMaximum, .topicAlias: .twoBytes
    case .messageExpiryInterval, .sessionExpiryInterval, .maximumPacketSize: .fourBytes
    case .subscriptionIdentifier: .variableInteger
    case .contentType, .responseTopic, .assignedClientIdentifier, .authenticationMethod, .responseInformation,
      .serverReference, .reasonString:
      .text
    case .correlationData, .authenticationData: .binary
    case .userProperty: .pair
    }
  }

  /// Whether a server may send the property in a packet of `kind`.
  func isAllowed(in kind: PacketKind) -> Bool {
    switch self {
    case .userProperty: true
    case .payloadFormatIndicator, .messageExpiryInterval, .contentType, .responseTopic, .correlationData,
      .subscriptionIdentifier, .topicAlias:
      kind == .publish
    case .reasonString: kind != .publish
    case .serverReference: kind == .connectAcknowledgement || kind == .disconnect
    default: kind == .connectAcknowledgement
    }
  }

  /// Whether the value 0 is a protocol error (MQTT 5, sections 3.2.2.3 and 3.3.2.3).
  var mustBePositive: Bool {
    switch self {
    case .receiveMaximum, .maximumPacketSize, .topicAlias, .subscriptionIdentifier: true
    default: false
    }
  }

  /// Whether a packet may contain the property several times. A message has one subscription identifier for each
  /// subscription that it matches.
  var mayRepeat: Bool { self == .userProperty || self == .subscriptionIdentifier }

  /// The property's name in an error.
  var name: String {
    switch self {
    case .payloadFormatIndicator: "the payload format indicator"
    case .messageExpiryInterval: "the message expiry interval"
    case .contentType: "the content type"
    case .responseTopic: "the response topic"
    case .correlationData: "the correlation data"
    case .subscriptionIdentifier: "the subscription identifier"
    case .sessionExpiryInterval: "the session expiry interval"
    case .assignedClientIdentifier: "the assigned client identifier"
    case .serverKeepAlive: "the server keep alive"
    case .authenticationMethod: "the authentication method"
    case .authenticationData: "the authentication data"
    case .responseInformation: "the response information"
    case .serverReference: "the server reference"
    case .reasonString: "the reason string"
    case .receiveMaximum: "the receive maximum"
    case .topicAliasMaximum: "the topic alias maximum"
    case .topicAlias: "the topic alias"
    case .maximumQoS: "the maximum QoS"
    case .retainAvailable: "the retain flag"
    case .userProperty: "the user property"
    case .maximumPacketSize: "the maximum packet size"
    case .wildcardSubscriptionAvailable: "the wildcard subscription flag"
    case .subscriptionIdentifierAvailable: "the subscription identifier flag"
    case .sharedSubscriptionAvailable: "the shared subscription flag"
    }
  }
}

/// The properties of a received packet that the client uses.
struct Properties {
  var limits = ServerLimits()
  var reasonString: String?
  var serverReference: String?

  /// The server's explanation, with the other server that it names; nil if it gave neither.
  var words: String? {
    guard let serverReference else { return reasonString }
    return (reasonString.map { "\($0), " } ?? "") + "the server names '\(serverReference)'"
  }
}
