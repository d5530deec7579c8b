import AWSClient
package import HTTPClient
import MQTT
package import Platform

extension Transport {
  // A publish may have to connect first. The name, TLS, the WebSocket and MQTT take a round trip or two each.
  package static let mqtt = Transport(
    name: "mqtt", supportsReservedTopics: true, publishTimeout: .seconds(30),
    configuration: { reader, configuration in
      reader.mqtt(configuration)
    })
}

/// The configuration of the transport `mqtt`.
package struct MQTTConfiguration: TransportConfiguration {
  package var broker: BrokerEndpoint
  /// The device's certificate and key, which the scheme `mqtts` requires; nil if none are configured.
  package var identity: ClientIdentity?
  /// The region for which a WebSocket's request is signed; nil with another scheme, or if a mistake was noted.
  package var region: String?
  package var settings: MQTTPublisher.Settings

  package var destination: String { "\(broker.host):\(broker.port) as client \(settings.clientID)" }

  package func publisher(_ access: Access, time: any Waiter, log: Log) throws -> any Publisher {
    var connection = access.connection
    connection.identity = identity
    identity?.report(to: log)
    let connector: any BrokerConnector
    if broker.scheme == .wss, let region {
      connector = try WebSocketConnector(
        broker, connection, region: region,
        credentials: try access.credentials(time: time, log: log), time: time, log: log)
    } else {
      connector = TLSConnector(broker, connection, time: time)
    }
    return MQTTPublisher(connector, settings, time: time, log: log)
  }
}

extension Configuration {
  /// The configuration of `mqtt`; nil with another transport.
  package var mqtt: MQTTConfiguration? {
    get { transportConfiguration as? MQTTConfiguration }
    set { transportConfiguration = newValue }
  }
}

extension ConfigurationReader {
  fileprivate mutating func mqtt(_ configuration: Configuration) -> MQTTConfiguration? {
    let identity = identity(configuration.access.device)
    let broker = broker()
    let clientID = clientID(thing: configuration.thingName)
    let keepAlive = wholeNumber(.keepAliveSeconds, 30...1_200)
    let connection = choice(.connection, byRawValue: ConnectionMode.self)
    let version = choice(.mqttVersion, byRawValue: ProtocolVersion.self)
    guard let broker, let clientID else { return nil }
    if broker.scheme == .mqtts, identity == nil {
      if environment.value(.certificateFile, .privateKeyFile) == nil,
        !namesRoleAlias
      {
        // A role alias needs the certificate, too, so its absence has already been noted.
        note(
          .certificateFile,
          "isn't set. Set it and \(Variable.privateKeyFile) for mutual TLS, or start "
            + "\(Variable.mqttEndpoint) with wss:// to sign with AWS credentials instead"
        )
      }
      return nil
    }
    let interval = configuration.effectiveInterval()
    var settings = MQTTPublisher.Settings(
      clientID: clientID, keepAliveSeconds: UInt16(keepAlive ?? Self.keepAlive(interval: interval)),
      connection: connection ?? defaultConnection, version: version ?? .five)
    settings.reportExpirySeconds = UInt32(clamping: max(1, interval.components.seconds))
    settings.commandTopics = configuration.commandTopics
    let region = broker.scheme == .wss ? region(ofHost: broker.host) : nil
    return MQTTConfiguration(broker: broker, identity: identity, region: region, settings: settings)
  }

  /// Returns a keep-alive that is longer than the interval, if AWS IoT allows it. The reports then keep the connection
  /// alive, and no ping wakes the device.
  private static func keepAlive(interval: Duration) -> Int {
    min(1_200, max(30, Int(min(interval, .seconds(1_200)).components.seconds) + 60))
  }

  private mutating func broker() -> BrokerEndpoint? {
    let variable = Variable.mqttEndpoint
    guard let text = environment.value(variable) else {
      note(
        variable,
        "isn't set; set it to the account's endpoint, such as abc-ats.iot.eu-central-1.amazonaws.com. Put wss:// "
          + "before it for a WebSocket")
      return nil
    }
    do throws(BrokerEndpointError) {
      return try BrokerEndpoint(text, usesWebSocket: false)
    } catch {
      note(variable, "can't be used: \(error)")
      return nil
    }
  }

  /// Returns the configured client id, or the thing's name with a suffix; nil if a mistake was noted.
  ///
  /// The suffix leaves the thing's name to the thing's own client: a second connection with the same client id would end
  /// that client's connection.
  private mutating func clientID(thing: String?) -> String? {
    let variable = Variable.clientID
    let thingVariable = thingNameVariable.rawValue
    // Otherwise a mistake in the thing's name would be noted twice.
    if environment.value(variable) == nil, mistakes.contains(where: { $0.variable == thingVariable }) {
      return nil
    }
    guard let text = environment.value(variable) ?? thing.map({ "\($0)-defender" }) else {
      note(variable, "isn't set, and no thing name is set to derive it from")
      return nil
    }
    guard text.utf8.count <= 128, !text.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
      note(variable, "is '\(text)'; expected up to 128 bytes without control characters")
      return nil
    }
    return text
  }

  /// The connection mode if none is configured.
  ///
  /// In Lambda it is `per-report`, because a function is frozen between invocations and can't keep a connection alive.
  private var defaultConnection: ConnectionMode {
    environment.value(.runtimeAPI) == nil ? .persistent : .perReport
  }
}
