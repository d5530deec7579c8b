package import AWSClient
import HTTPClient
package import Platform

extension PublishMetricsHandler {
  /// The function as the environment configures it.
  ///
  /// Throws a ``ConfigurationError`` with every mistake, or why libcurl or OpenSSL can't be used.
  package init(_ environment: Environment, time: any TimeKeeper, log: Log) throws {
    let configuration = try Configuration(environment)
    let publisher = try makePublisher(configuration, environment, time: time, log: log)
    let pacer: any TimeKeeper =
      (publisher as? MQTTPublisher).map { KeepAliveTime(time, keepingAlive: $0) } ?? time
    self.init(configuration, publisher: publisher, time: pacer, log: log)
  }
}

/// The publisher of the configured transport.
package func makePublisher(
  _ configuration: Configuration, _ environment: Environment, time: any TimeKeeper, log: Log
) throws -> any Publisher {
  if let mqtt = configuration.mqtt {
    return try makeMQTTPublisher(mqtt, region: configuration.region, environment, time: time, log: log)
  }
  if let identity = configuration.identity, let endpoint = configuration.endpoint {
    return try HTTPSPublisher(
      endpoint: endpoint, identity: identity, environment: environment, time: time, log: log)
  }
  guard let endpoint = configuration.endpoint, let region = configuration.region else {
    // Only the component mode has a nucleus to publish through, and it brings its own publisher.
    let problem =
      "is '\(configuration.transport.rawValue)', which takes a Greengrass component: no SVCUID is set"
    throw ConfigurationError(mistakes: [.init(variable: "DEFENDER_TRANSPORT", problem: problem)])
  }
  return try HTTPSPublisher(
    endpoint: endpoint, region: region, credentials: try CredentialChain(environment, time: time, log: log),
    exchange: try CurlExchange(
      CurlExchange.Configuration(environment),
      isStopRequested: { time.shutdownSignal?.isRequested == true }),
    time: time, log: log)
}

private func makeMQTTPublisher(
  _ mqtt: MQTTConfiguration, region: String?, _ environment: Environment, time: any TimeKeeper, log: Log
) throws -> MQTTPublisher {
  var connection = CurlExchange.Configuration(environment)
  connection.identity = mqtt.identity
  if let warning = mqtt.identity?.warning { log.warn(warning) }
  let connector: any BrokerConnector
  if mqtt.broker.scheme == .wss, let region {
    connector = try WebSocketConnector(
      mqtt.broker, connection, region: region,
      credentials: try CredentialChain(environment, time: time, log: log), time: time, log: log)
  } else {
    connector = TLSConnector(mqtt.broker, connection, time: time)
  }
  return MQTTPublisher(connector, mqtt.settings, time: time, log: log)
}
