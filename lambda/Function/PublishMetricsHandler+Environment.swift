import AWSClient
package import Platform

extension PublishMetricsHandler {
  /// The function as the environment configures it.
  ///
  /// Throws a ``ConfigurationError`` with every mistake, or why libcurl or OpenSSL can't be used.
  package init(_ environment: Environment, time: any TimeKeeper, log: Log) throws {
    let configuration = try Configuration(environment)
    let publisher = try configuration.publisher(environment, time: time, log: log)
    self.init(configuration, publisher: publisher, time: publisher.pacing(time), log: log)
  }
}
