/// The event that a rule of AWS IoT Core sends: the result of the rule's SQL statement. AWS IoT ignores the function's response.
///
/// Its members depend on the statement. `SELECT *, topic() AS topic, clientid() AS clientid, timestamp() AS timestamp FROM 'devices/+/data'`
/// adds those that the properties return.
public struct IoTRuleEvent: LambdaEvent {
  /// AWS IoT ignores what the function returns.
  public typealias Answer = Void
  /// What error messages call an event from a rule.
  public static let eventName = "an event of a rule of AWS IoT"

  /// The result of the statement, which is any JSON value.
  public let json: JSON

  /// Accepts any JSON, because only you know what the statement selects.
  public init(json: JSON) {
    self.json = json
  }

  /// The value of the member called `name`; nil if there is none.
  public subscript(_ name: String) -> JSON? { json[name] }

  /// The topic of the message, if the statement selects `topic() AS topic`.
  public var topic: String? { json["topic"]?.string }
  /// The client that published the message, if the statement selects `clientid() AS clientid`.
  public var clientID: String? { json["clientid"]?.string }
  /// When the message arrived, if the statement selects `timestamp() AS timestamp`.
  public var time: WallTime? { json["timestamp"]?.timeInMilliseconds }

  /// Reads a payload that isn't JSON, if the statement selects `encode(*, 'base64') AS` the given name.
  public func payload(_ name: String) throws(EventError) -> [UInt8] {
    try json.base64(name)
  }
}

/// An event of AWS IoT Core about a client that connected or disconnected (`$aws/events/presence/…`).
public struct IoTPresenceEvent: LambdaEvent {
  /// AWS IoT ignores what the function returns.
  public typealias Answer = Void
  /// What error messages call a presence event.
  public static let eventName = "a presence event of AWS IoT"

  /// The event exactly as received, with members that have no property, such as `clientInitiatedDisconnect`.
  public let json: JSON
  /// The MQTT client ID of the device (`clientId`), which is usually its thing name.
  public let clientID: String
  /// Whether the client connected; otherwise it disconnected.
  public let isConnected: Bool

  /// Reads an event. Throws an error if `clientId` is missing, or if `eventType` is neither `connected` nor `disconnected`.
  public init(json: JSON) throws(EventError) {
    clientID = try json.read("clientId")
    let type: String = try json.read("eventType")
    guard type == "connected" || type == "disconnected" else {
      throw EventError(path: "eventType", problem: "must be 'connected' or 'disconnected'")
    }
    isConnected = type == "connected"
    self.json = json
  }

  /// When it happened. Events may arrive in another order.
  public var time: WallTime? { json["timestamp"]?.timeInMilliseconds }
  /// Orders the connections of one client: a later connection has a larger number.
  public var versionNumber: Int? { json["versionNumber"]?.integer() }
  /// The ID of the session.
  public var sessionID: String? { json["sessionIdentifier"]?.string }
  /// The ID of the certificate or the identity that the client used.
  public var principalID: String? { json["principalIdentifier"]?.string }
  /// The address of the client.
  public var address: String? { json["ipAddress"]?.string }
  /// Why the client was disconnected, such as `MQTT_KEEP_ALIVE_TIMEOUT`; nil if it connected.
  public var disconnectReason: String? { json["disconnectReason"]?.string }
}
