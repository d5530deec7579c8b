import Platform

/// Why a server accepted or refused something, and its explanation (MQTT 5, sections 2.4 and 3.1.2.11.7).
package struct Reason: Equatable, Sendable, CustomStringConvertible {
  /// The longest explanation that is shown, in Unicode scalars.
  static let textLimit = 200

  package let code: ReasonCode
  /// The server's explanation, without control characters and secrets; nil if it gave none.
  package let text: String?

  package init(_ code: ReasonCode) {
    self.code = code
    text = nil
  }

  /// Creates a reason with the server's own words, which are masked, escaped and cut to ``textLimit`` Unicode scalars.
  init(_ code: ReasonCode, _ words: String?) {
    self.code = code
    text = words.flatMap { words in
      words.isEmpty ? nil : shownText(words, limit: Self.textLimit)
    }
  }

  /// The reason for a log line: `not authorized (135)`, followed by the server's words.
  package var description: String { text.map { "\(code): \($0)" } ?? "\(code)" }
}

/// Returns a text of the server without secrets and control characters, cut to `limit` Unicode scalars.
func shownText(_ words: String, limit: Int) -> String {
  let shown = escapingControlCharacters(ServerText().shown(words, limit: limit))
  guard shown.unicodeScalars.count > limit else { return shown }
  return String(String.UnicodeScalarView(shown.unicodeScalars.prefix(limit))) + "…"
}

/// A reason code (MQTT 5, section 2.4).
package struct ReasonCode: RawRepresentable, Equatable, Sendable, CustomStringConvertible {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let success = ReasonCode(rawValue: 0x00)
  package static let malformedPacket = ReasonCode(rawValue: 0x81)
  package static let protocolError = ReasonCode(rawValue: 0x82)
  package static let unsupportedVersion = ReasonCode(rawValue: 0x84)
  package static let invalidClientID = ReasonCode(rawValue: 0x85)
  package static let badUserNameOrPassword = ReasonCode(rawValue: 0x86)
  package static let notAuthorized = ReasonCode(rawValue: 0x87)
  package static let serverUnavailable = ReasonCode(rawValue: 0x88)
  package static let serverBusy = ReasonCode(rawValue: 0x89)
  package static let banned = ReasonCode(rawValue: 0x8A)
  package static let serverShuttingDown = ReasonCode(rawValue: 0x8B)
  package static let badAuthenticationMethod = ReasonCode(rawValue: 0x8C)
  package static let keepAliveTimeout = ReasonCode(rawValue: 0x8D)
  package static let sessionTakenOver = ReasonCode(rawValue: 0x8E)
  package static let invalidTopicName = ReasonCode(rawValue: 0x90)
  package static let invalidTopicAlias = ReasonCode(rawValue: 0x94)
  package static let packetTooLarge = ReasonCode(rawValue: 0x95)
  package static let messageRateTooHigh = ReasonCode(rawValue: 0x96)
  package static let quotaExceeded = ReasonCode(rawValue: 0x97)
  package static let qualityNotSupported = ReasonCode(rawValue: 0x9B)
  package static let useAnotherServer = ReasonCode(rawValue: 0x9C)
  package static let serverMoved = ReasonCode(rawValue: 0x9D)
  package static let connectionRateExceeded = ReasonCode(rawValue: 0x9F)

  /// Whether the code means that something was refused (MQTT 5, section 2.4).
  package var isFailure: Bool { rawValue >= 0x80 }

  /// Whether the code is about the state of the server or of the connection, and not about the last packet.
  package var isOfServer: Bool {
    [.sessionTakenOver, .serverShuttingDown, .serverBusy, .serverUnavailable, .keepAliveTimeout].contains(
      self)
  }

  /// The specification's name of the code, and the number: `not authorized (135)`.
  package var description: String { "\(name) (\(rawValue))" }

  private var name: String {
    switch rawValue {
    case 0x00: "success"
    case 0x01: "granted quality of service 1"
    case 0x02: "granted quality of service 2"
    case 0x10: "no matching subscribers"
    case 0x80: "unspecified error"
    case 0x81: "malformed packet"
    case 0x82: "protocol error"
    case 0x83: "implementation specific error"
    case 0x84: "unsupported protocol version"
    case 0x85: "client identifier not valid"
    case 0x86: "bad user name or password"
    case 0x87: "not authorized"
    case 0x88: "server unavailable"
    case 0x89: "server busy"
    case 0x8A: "banned"
    case 0x8B: "server shutting down"
    case 0x8C: "bad authentication method"
    case 0x8D: "keep alive timeout"
    case 0x8E: "session taken over"
    case 0x8F: "topic filter invalid"
    case 0x90: "topic name invalid"
    case 0x91: "packet identifier in use"
    case 0x92: "packet identifier not found"
    case 0x93: "receive maximum exceeded"
    case 0x94: "topic alias invalid"
    case 0x95: "packet too large"
    case 0x96: "message rate too high"
    case 0x97: "quota exceeded"
    case 0x98: "administrative action"
    case 0x99: "payload format invalid"
    case 0x9A: "retain not supported"
    case 0x9B: "quality of service not supported"
    case 0x9C: "use another server"
    case 0x9D: "server moved"
    case 0x9E: "shared subscriptions not supported"
    case 0x9F: "connection rate exceeded"
    case 0xA0: "maximum connect time"
    case 0xA1: "subscription identifiers not supported"
    case 0xA2: "wildcard subscriptions not supported"
    default: "unknown reason"
    }
  }
}
