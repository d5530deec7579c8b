package import Platform

/// How reports are published, chosen by `DEFENDER_TRANSPORT`.
package struct Transport: Sendable, Equatable {
  /// The available transports. A new one needs a line here and a folder in `Transports`.
  package static let all: [Transport] = [
    .https,
    .mqtt,
    .greengrass,
  ]

  package let name: String
  /// Whether Device Defender's reserved topics accept reports over this transport. If so, it also receives the answers.
  package let supportsReservedTopics: Bool
  /// The limit of one publish, including all retries.
  package let publishTimeout: Duration
  /// Reads the transport's own variables and notes mistakes; returns nil if no publisher can be built from them.
  let configuration: @Sendable (inout ConfigurationReader, Configuration) -> (any TransportConfiguration)?

  package static func == (left: Transport, right: Transport) -> Bool { left.name == right.name }
}

/// A transport's own configuration.
package protocol TransportConfiguration: Sendable {
  /// The server that reports go to and the identity there, for log lines: `HOST:8883 as client pump-7-defender`.
  var destination: String { get }

  /// Returns a publisher for this configuration. Throws if libcurl or OpenSSL can't be used.
  func publisher(_ access: Access, time: any Waiter, log: Log) throws -> any Publisher
}

extension ConfigurationReader {
  mutating func transport() -> Transport? {
    choice(.transport, Transport.all.map { ($0.name, $0) })
  }
}

extension ConfigurationError.Mistake {
  /// The mistake of configuring a transport outside of a Greengrass component that works only in one.
  package static func outsideOfNucleus(_ transport: Transport) -> Self {
    Self(
      variable: Variable.transport.rawValue,
      problem: "is '\(transport.name)', which works only in a Greengrass component, but SVCUID isn't set. "
        + "Use https or mqtt here")
  }
}

extension Configuration {
  /// Returns a publisher for the configured transport.
  package func publisher(time: any Waiter, log: Log) throws -> any Publisher {
    guard let transportConfiguration else {
      // Only a Greengrass component can publish through a nucleus, and it creates that publisher itself.
      throw ConfigurationError(mistakes: [.outsideOfNucleus(transport)])
    }
    return try transportConfiguration.publisher(access, time: time, log: log)
  }
}
