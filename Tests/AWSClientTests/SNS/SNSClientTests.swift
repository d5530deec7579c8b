import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

struct `The SNS client` {
  private let time = ManualTime()
  private let topic = "arn:aws:sns:eu-west-1:123456789012:alarms"

  private func publish(_ message: String, over exchange: ScriptedExchange) throws {
    let credentials = EnvironmentCredentials(
      Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"]))
    let signing = ServiceClient.Signing(
      region: "eu-west-1", service: AWSService.sns.signingName, credentials: credentials)
    let client = SNSClient(
      ServiceClient(signing, exchange, time: time, log: Log { _, _ in }, jitter: { 1 }),
      try ServiceEndpoint(of: .sns, region: "eu-west-1"))
    try client.publish(
      message, subject: "in-alarm", topicARN: topic, until: time.bootTime.advanced(by: .seconds(60)))
  }

  private func answer(_ xml: String, status: Int = 200) -> Result<HTTPResponse, HTTPError> {
    .success(HTTPResponse(status: status, body: Array(xml.utf8)))
  }

  @Test func `sends the message as a form`() throws {
    let exchange = ScriptedExchange([
      answer("<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>")
    ])
    try publish(#"{"a":"b & c"}"#, over: exchange)
    let request = try #require(exchange.requests.first)
    #expect(
      String(decoding: request.body, as: UTF8.self)
        == "Action=Publish&Message=%7B%22a%22%3A%22b%20%26%20c%22%7D&Subject=in-alarm"
        + "&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Aalarms&Version=2010-03-31")
    #expect(
      request.headers.first { $0.name == .authorization }?.value.contains("/eu-west-1/sns/aws4_request")
        == true)
  }

  @Test func `doesn't mistake another server's page for an acknowledgement`() {
    #expect(throws: SNSError.self) { try publish("m", over: ScriptedExchange([answer("<html>ok</html>")])) }
  }

  @Test func `rejects a message that SNS wouldn't accept, and sends nothing`() {
    let exchange = ScriptedExchange([])
    #expect(throws: SNSError.self) { try publish(String(repeating: "m", count: 262_145), over: exchange) }
    #expect(exchange.requests.isEmpty)
  }

  @Test(arguments: [
    ("NotFound", "Create the topic, or correct the profile's alertTargetArn."),
    ("AuthorizationError", "Allow the role sns:Publish on the topic."),
  ])
  func `names the topic and what to do`(code: String, advice: String) throws {
    let refusal = answer("<ErrorResponse><Error><Code>\(code)</Code></Error></ErrorResponse>", status: 403)
    let error = #expect(throws: SNSError.self) { try publish("m", over: ScriptedExchange([refusal])) }
    let text = try #require(error).description
    #expect(text.contains(topic) && text.hasSuffix(advice), "\(text)")
  }
}
