import AWSClient
import HTTPClient
package import Platform

extension PublishMetricsHandler {
  /// The function as the environment configures it.
  ///
  /// Throws a ``ConfigurationError`` with every mistake, or why libcurl or OpenSSL can't be used.
  package init(_ environment: Environment, time: any TimeKeeper, log: Log) throws {
    let configuration = try Configuration(environment)
    let publisher = try HTTPSPublisher(
      endpoint: configuration.endpoint, region: configuration.region,
      credentials: try CredentialChain(environment, time: time, log: log),
      exchange: try CurlExchange(CurlExchange.Configuration(environment)), time: time, log: log)
    self.init(configuration, publisher: publisher, time: time, log: log)
  }
}
