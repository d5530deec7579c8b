import AWSClient
import DefenderAgent
import HTTPClient
import Platform
import TestSupport
import WireFormats

/// Creates a publisher with made-up credentials that sends over `exchange` and uses the longest possible retry delays.
func testPublisher(
  _ exchange: any HTTPExchange, url: String = "https://iot.example.com", time: any Waiter = ManualTime(),
  credentials: [String: String] = ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"],
  log: Log = Log { _, _ in }
) throws -> HTTPSPublisher {
  try testPublisher(
    exchange, EnvironmentCredentials(Environment(credentials)), url: url, time: time, log: log)
}

func testPublisher(
  _ exchange: any HTTPExchange, _ source: any CredentialSource, url: String = "https://iot.example.com",
  time: any Waiter = ManualTime(), log: Log = Log { _, _ in }
) throws -> HTTPSPublisher {
  try HTTPSPublisher(
    ServiceEndpoint(url: url), (region: "us-east-1", credentials: source), exchange, time, log, jitter: { 1 })
}

func testPublish(
  _ payload: [UInt8] = [1], with publisher: HTTPSPublisher, time: any Waiter = ManualTime(),
  within duration: Duration = .seconds(60)
) throws -> PublishReceipt {
  try publisher.publish(
    payload, to: Topic(validating: "a/b c"), qos: .atLeastOnce, until: time.bootTime.advanced(by: duration))
}
