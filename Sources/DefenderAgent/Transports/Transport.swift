package import Platform

/// A way for reports to leave, chosen by `DEFENDER_TRANSPORT`.
package struct Transport: Sendable, Equatable {
  /// Those that there are: a line here, and a file beside that of ``MQTTConfiguration``.
  package static let all: [Transport] = [
    .https,
    .mqtt,
    .greengrass,
  ]

  package let name: String
  /// Whether Device Defender's own topics take what goes this way; what they answer is heard then.
  package let takesReservedTopics: Bool
  /// How long one publish may take at most, with everything that is tried again.
  package let publishTimeout: Duration
  /// Reads what the environment says about this transport, noting mistakes; nil where that is nothing that a publisher
  /// can be made of.
  let configuration: @Sendable (inout ConfigurationReader, Configuration) -> (any TransportConfiguration)?

  package static func == (left: Transport, right: Transport) -> Bool { left.name == right.name }
}

/// What the environment says about a transport.
package protocol TransportConfiguration: Sendable {
  /// What publishes by it; throws why it can't be made, libcurl or OpenSSL say.
  func publisher(_ access: Access, time: any Waiter, log: Log) throws -> any Publisher
}

extension ConfigurationReader {
  mutating func transport() -> Transport? {
    choice(.transport, Transport.all.map { ($0.name, $0) })
  }
}

extension Configuration {
  /// The publisher of the transport.
  package func publisher(time: any Waiter, log: Log) throws -> any Publisher {
    guard let transportConfiguration else {
      // Only the component mode has a nucleus to publish through, and it brings its own publisher.
      let problem = "is '\(transport.name)', which takes a Greengrass component: no SVCUID is set"
      throw ConfigurationError(of: .transport, problem)
    }
    return try transportConfiguration.publisher(access, time: time, log: log)
  }
}
