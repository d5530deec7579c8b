import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

@testable import AWSClient
import DefenderAgent

private let now = WallTime(secondsSinceEpoch: 1_767_225_600)  // 2026-01-01T00:00:00Z
private let secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
private let sessionToken = "plain-session-token-in-small-letters"
private let token = "container-token"

/// An exchange whose responses repeat everything that the request contained, and every secret of the test.
private final class EchoingExchange: HTTPExchange {
  enum Shape: CaseIterable {
    case message, text, code, requestID, xml, credentials
  }

  let status: Int
  let shape: Shape
  private(set) var sent: [HTTPRequest] = []

  init(status: Int, _ shape: Shape) {
    self.status = status
    self.shape = shape
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    sent.append(request)
    if request.method == "PUT", request.url.hasSuffix("/latest/api/token") {
      return HTTPResponse(status: 200, body: Array(token.utf8))
    }
    let fields = request.headers.map { "\($0.name):\($0.value)" }.joined(separator: " ")
    let all =
      "\(request.url) \(fields) \(String(decoding: request.body, as: UTF8.self)) \(secretKey) \(sessionToken)"
    let body: String
    var headers: [HeaderField] = []
    switch shape {
    case .message: body = #"{"message":"\#(all)"}"#
    case .text: body = all
    case .code: body = #"{"code":"\#(all.replacing(":", with: "=").replacing("#", with: "="))"}"#
    case .requestID:
      body = ""
      headers = [HeaderField("x-amzn-requestid", all)]
    case .xml: body = "<Error><Code>\(all)</Code><Message>\(all)</Message></Error>"
    case .credentials:
      body =
        #"{"AccessKeyId":"AKID","SecretAccessKey":"\#(secretKey)","Token":"\#(sessionToken)","Code":"Failed"}"#
    }
    return HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
  }

  /// The values that no message may contain: every value that signed or authorised a request.
  var secrets: [String] {
    [secretKey, String(secretKey.prefix(20))] + sent.flatMap(\.secrets)
  }
}

struct `A server that sends back what it knows` {
  private static let cases = [400, 403, 404, 500].flatMap { status in
    EchoingExchange.Shape.allCases.map { (status, $0) }
  }

  private func expectNone(of secrets: [String], in texts: [String]) {
    for text in texts {
      for secret in secrets { #expect(!text.contains(secret), "\(text)") }
      #expect(text.utf8.count < 2_500)
    }
  }

  @Test(arguments: cases)
  fileprivate func `gets no secret into the error of a publish or its log`(
    status: Int, shape: EchoingExchange.Shape
  ) throws {
    let exchange = EchoingExchange(status: status, shape)
    var lines: [String] = []
    let publisher = try testPublisher(
      exchange,
      credentials: [
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken,
      ], log: Log(level: .trace) { lines.append(String(decoding: $1, as: UTF8.self)) })
    let error = try #require(throws: PublishError.self) { try testPublish(with: publisher) }
    #expect(exchange.secrets.contains(sessionToken) && exchange.secrets.contains { $0.count == 64 })
    expectNone(
      of: exchange.secrets,
      in: lines + ["\(error)", error.code ?? "", error.message ?? "", error.requestID ?? ""])
    #expect("\(error)".contains("status \(status)"))
  }

  @Test(arguments: cases)
  fileprivate func `gets no secret into the error of a source of credentials`(
    status: Int, shape: EchoingExchange.Shape
  ) throws {
    let files = [
      "/jwt": "web-identity-token-of-small-letters",
      "/home/.aws/config": """
      [default]
      role_arn = arn:aws:iam::1:role/r
      source_profile = keys
      [profile keys]
      aws_access_key_id = AKID
      aws_secret_access_key = \(secretKey)
      aws_session_token = \(sessionToken)
      """,
    ]
    let variables = [
      "HOME": "/home", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/creds",
      "AWS_CONTAINER_AUTHORIZATION_TOKEN": token, "AWS_WEB_IDENTITY_TOKEN_FILE": "/jwt",
      "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
    ]
    let alias = IoTRoleAlias(
      name: "alias",
      endpoint: try ServiceEndpoint(url: "https://abc.credentials.iot.eu-west-1.amazonaws.com"),
      thingName: nil, device: ClientIdentityFiles(certificate: "/c", key: "/k"))
    let sources: [(CredentialContext, EchoingExchange) -> any CredentialSource] = [
      { context, _ in ContainerCredentials(context) }, { context, _ in WebIdentityCredentials(context) },
      { context, _ in ProfileCredentials(context) }, { context, _ in InstanceMetadataCredentials(context) },
      { IoTRoleAliasCredentials(alias, $0, exchange: $1) },
    ]
    for source in sources {
      let exchange = EchoingExchange(status: status, shape)
      var context = CredentialContext(
        Environment(variables), exchange: exchange, time: ManualTime(wallTime: now), log: Log { _, _ in })
      context.readFile = { (path, _) throws(Errno) in
        guard let text = files[path] else { throw .noSuchFile }
        return Array(text.utf8)
      }
      let error = try #require(throws: CredentialError.self) {
        try source(context, exchange).credentials(at: now)
      }
      #expect(!exchange.sent.isEmpty, "\(error)")
      var others = [token, "web-identity-token-of-small-letters"]
      // A source can mask the session token only if it sent the token, or if the response labels it as one.
      if shape == .credentials || exchange.secrets.contains(sessionToken) { others.append(sessionToken) }
      expectNone(of: exchange.secrets + others, in: ["\(error)"])
    }
  }
}
