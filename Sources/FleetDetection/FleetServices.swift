import AWSClient
import HTTPClient
package import Platform

/// The store and the delivery of a fleet: in AWS, except for a store in a local file.
package struct FleetServices {
  package let store: any FleetStore
  package let delivery: AWSEventDelivery

  /// The largest answer of a batch read with 16 MB of items, whose bytes arrive as Base64.
  private static let answerLimit = 32 << 20

  /// Creates the clients with the credentials, the region and the endpoints in the environment. Connects to nothing yet.
  package init(
    _ environment: Environment, _ configuration: FleetConfiguration, time: any Waiter, log: Log
  ) throws {
    let region = environment.value("AWS_REGION", "AWS_DEFAULT_REGION")
    guard let region else { throw ServiceEndpointError.noRegion }
    var connection = ConnectionConfiguration(environment)
    connection.responseBodyLimit = Self.answerLimit
    let context = try CredentialContext(environment, connection, time: time, log: log)
    let credentials = CredentialChain(context, roleAlias: nil)
    func client(_ service: AWSService, in region: String) throws -> (ServiceClient, ServiceEndpoint) {
      let exchange = try CurlExchange(
        connection, isStopRequested: { time.shutdownSignal?.isRequested == true })
      let signing = ServiceClient.Signing(
        region: region, service: service.signingName, credentials: credentials)
      return (
        ServiceClient(signing, exchange, time: time, log: log),
        try ServiceEndpoint(environment, region: region, service: service)
      )
    }
    if let path = configuration.stateFile {
      store = FileStore(path, retention: configuration.retention, time: time)
    } else {
      let (database, databaseEndpoint) = try client(.dynamoDB, in: region)
      store = DynamoDBStore(
        DynamoDBClient(database, databaseEndpoint, table: configuration.table),
        retention: configuration.retention, watchesSilence: configuration.silence != nil, time: time, log: log
      )
    }
    var topic: AWSEventDelivery.IoTTopic?
    if let template = configuration.alarmsTopic {
      let (iot, endpoint) = try client(.iotDataPlane, in: region)
      topic = AWSEventDelivery.IoTTopic(iot, endpoint, template: template)
    }
    delivery = AWSEventDelivery(
      sns: { region in
        let (sns, endpoint) = try client(.sns, in: region)
        return SNSClient(sns, endpoint)
      }, iot: topic)
  }
}
