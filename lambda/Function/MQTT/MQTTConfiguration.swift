import AWSClient
package import HTTPClient
import Platform

/// What the environment says about the MQTT transport.
package struct MQTTConfiguration: Sendable {
  package var broker: BrokerEndpoint
  /// The device's certificate; nil with a WebSocket, and with a broker on this machine that wants none.
  package var identity: ClientIdentity?
  package var settings: MQTTPublisher.Settings
}

extension ConfigurationReader {
  /// The MQTT transport; nil where a mistake was noted.
  mutating func mqtt(thing: String?, interval: Duration) -> MQTTConfiguration? {
    let identity = identity()
    let broker = broker()
    let clientID = clientID(thing: thing)
    let keepAlive = wholeNumber("DEFENDER_KEEP_ALIVE_SECONDS", 30...1_200)
    let connection = choice("DEFENDER_CONNECTION", byRawValue: ConnectionMode.self)
    guard let broker, let clientID else { return nil }
    if broker.scheme == .mqtts, identity == nil {
      note(
        "DEFENDER_CERTIFICATE_FILE",
        "isn't set; mutual TLS needs it and DEFENDER_PRIVATE_KEY_FILE, and wss:// in DEFENDER_MQTT_ENDPOINT neither"
      )
      return nil
    }
    let settings = MQTTPublisher.Settings(
      clientID: clientID, keepAliveSeconds: UInt16(keepAlive ?? Self.keepAlive(interval: interval)),
      connection: connection ?? defaultConnection)
    return MQTTConfiguration(broker: broker, identity: identity, settings: settings)
  }

  /// A keep-alive that the reports themselves keep, where AWS IoT allows one that long: no ping wakes the device then.
  private static func keepAlive(interval: Duration) -> Int {
    min(1_200, max(30, Int(min(interval, .seconds(1_200)).components.seconds) + 60))
  }

  private mutating func broker() -> BrokerEndpoint? {
    let variable = "DEFENDER_MQTT_ENDPOINT"
    guard let text = environment.value(variable) else {
      note(
        variable,
        "isn't set; set it to the account's endpoint, such as abc-ats.iot.eu-central-1.amazonaws.com, or with wss:// "
          + "before it for a WebSocket")
      return nil
    }
    do throws(BrokerEndpointError) {
      return try BrokerEndpoint(text, usesWebSocket: false)
    } catch {
      note(variable, "is \(error)")
      return nil
    }
  }

  /// The thing's name with a suffix: the thing's own client keeps the name itself, which a second connection of the same
  /// name would push out.
  private mutating func clientID(thing: String?) -> String? {
    let variable = "DEFENDER_CLIENT_ID"
    guard let text = environment.value(variable) ?? thing.map({ "\($0)-defender" }) else {
      note(variable, "isn't set, and there is no thing name to make one of")
      return nil
    }
    guard text.utf8.count <= 128, !text.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
      note(variable, "is '\(text)'; allowed are up to 128 bytes without control characters")
      return nil
    }
    return text
  }

  /// Lambda freezes a function between invocations, and with it whatever would keep a connection alive.
  private var defaultConnection: ConnectionMode {
    environment.value("AWS_LAMBDA_RUNTIME_API") == nil ? .persistent : .perReport
  }
}
