import AWSClient
import FleetDetection
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

struct `Events in AWS` {
  private let time = ManualTime()
  private let event = """
    {"violationId":"1-2","thingName":"pump-1","securityProfileName":"ports","behavior":{"name":"open",
    "metric":"aws:listening-tcp-ports"},"metricValue":{"ports":[8080]},"violationEventType":"in-alarm",
    "violationEventTime":1700000000}
    """

  private func client(_ service: AWSService, _ exchange: ScriptedExchange) -> ServiceClient {
    let credentials = EnvironmentCredentials(
      Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"]))
    return ServiceClient(
      ServiceClient.Signing(region: "eu-west-1", service: service.signingName, credentials: credentials),
      exchange, time: time, log: Log { _, _ in }, jitter: { 1 })
  }

  @Test func `reach SNS with the time in milliseconds, and AWS IoT on the thing's topic`() throws {
    let sns = ScriptedExchange([
      .success(HTTPResponse(status: 200, body: Array("<MessageId>m</MessageId>".utf8)))
    ])
    let iot = ScriptedExchange([])
    let delivery = AWSEventDelivery(
      sns: { _ in SNSClient(client(.sns, sns), try ServiceEndpoint(url: "https://sns.example.com")) },
      iot: AWSEventDelivery.IoTTopic(
        client(.iotDataPlane, iot), try ServiceEndpoint(url: "https://iot.example.com"),
        template: "alarms/{thing}/new"))
    try delivery.deliver(
      OutboxEntry(event: Array(event.utf8), targets: ["arn:aws:sns:eu-west-1:123456789012:topic"]),
      until: time.bootTime.advanced(by: .seconds(9)))
    let form = String(decoding: try #require(sns.requests.first).body, as: UTF8.self)
    #expect(form.includes("%22violationEventTime%22%3A1700000000000%7D"))
    #expect(form.includes("TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Atopic"))
    let published = try #require(iot.requests.first)
    #expect(published.url == "https://iot.example.com/topics/alarms%2Fpump-1%2Fnew?qos=1")
    #expect(published.body == Array(event.utf8))
  }

  private var refusal: HTTPResponse {
    HTTPResponse(status: 404, body: Array("<Error><Code>NotFound</Code><Message>no</Message></Error>".utf8))
  }

  @Test func `reach the other targets if one fails`() throws {
    let sns = ScriptedExchange([
      .success(refusal), .success(HTTPResponse(status: 200, body: Array("<MessageId>m</MessageId>".utf8))),
    ])
    let iot = ScriptedExchange([])
    let delivery = AWSEventDelivery(
      sns: { _ in SNSClient(client(.sns, sns), try ServiceEndpoint(url: "https://sns.example.com")) },
      iot: AWSEventDelivery.IoTTopic(
        client(.iotDataPlane, iot), try ServiceEndpoint(url: "https://iot.example.com"), template: "alarms"))
    let error = #expect(throws: DeliveryError.self) {
      try delivery.deliver(
        OutboxEntry(
          event: Array(event.utf8),
          targets: ["arn:aws:sns:eu-west-1:123456789012:gone", "arn:aws:sns:eu-west-1:123456789012:topic"]),
        until: time.bootTime.advanced(by: .seconds(9)))
    }
    #expect(error?.description.includes("'arn:aws:sns:eu-west-1:123456789012:gone'") == true)
    #expect(sns.requests.count == 2 && iot.requests.count == 1)
  }

  @Test func `fail with the topic's name`() throws {
    let sns = ScriptedExchange([.success(refusal)])
    let delivery = AWSEventDelivery(
      sns: { _ in SNSClient(client(.sns, sns), try ServiceEndpoint(url: "https://sns.example.com")) },
      iot: nil)
    let error = #expect(throws: DeliveryError.self) {
      try delivery.deliver(
        OutboxEntry(event: Array(event.utf8), targets: ["arn:aws:sns:eu-west-1:123456789012:topic"]),
        until: time.bootTime.advanced(by: .seconds(9)))
    }
    #expect(error?.description.includes("'arn:aws:sns:eu-west-1:123456789012:topic'") == true)
  }

  @Test func `reach topics of other regions by a client for each region`() throws {
    let sns = ScriptedExchange(
      Array(
        repeating: .success(HTTPResponse(status: 200, body: Array("<MessageId>m</MessageId>".utf8))), count: 3
      ))
    var regions: [String] = []
    let delivery = AWSEventDelivery(
      sns: { region in
        regions.append(region)
        return SNSClient(client(.sns, sns), try ServiceEndpoint(of: .sns, region: region))
      }, iot: nil)
    for region in ["us-east-1", "eu-west-1", "us-east-1"] {
      try delivery.deliver(
        OutboxEntry(event: Array(event.utf8), targets: ["arn:aws:sns:\(region):123456789012:topic"]),
        until: time.bootTime.advanced(by: .seconds(9)))
    }
    #expect(regions == ["us-east-1", "eu-west-1"])
    #expect(
      sns.requests.map(\.url) == [
        "https://sns.us-east-1.amazonaws.com/", "https://sns.eu-west-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com/",
      ])
  }

  @Test(arguments: [
    "arn:topic", "arn:aws:sns:a/b:1:t", "arn:aws:sqs:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:",
  ])
  func `are rejected if a target isn't a topic`(target: String) throws {
    let sns = ScriptedExchange([])
    let delivery = AWSEventDelivery(
      sns: { SNSClient(client(.sns, sns), try ServiceEndpoint(of: .sns, region: $0)) }, iot: nil)
    let error = #expect(throws: DeliveryError.self) {
      try delivery.deliver(
        OutboxEntry(event: Array(event.utf8), targets: [target]),
        until: time.bootTime.advanced(by: .seconds(9)))
    }
    #expect(error?.failed == [target] && sns.requests.isEmpty)
  }
}
