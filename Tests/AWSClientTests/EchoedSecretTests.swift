import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

@testable import AWSClient

private let now = WallTime(secondsSinceEpoch: 1_767_225_600)  // 2026-01-01T00:00:00Z

struct `A server that echoes the request` {
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
  func `puts no secret into the error of a credential source`(
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
      aws_secret_access_key = \(EchoingExchange.secretKey)
      aws_session_token = \(EchoingExchange.sessionToken)
      """,
    ]
    let variables = [
      "HOME": "/home", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/creds",
      "AWS_CONTAINER_AUTHORIZATION_TOKEN": EchoingExchange.token, "AWS_WEB_IDENTITY_TOKEN_FILE": "/jwt",
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
      var others = [EchoingExchange.token, "web-identity-token-of-small-letters"]
      // A source can mask the session EchoingExchange.token only if it sent the EchoingExchange.token, or if the response labels it as one.
      if shape == .credentials || exchange.secrets.contains(EchoingExchange.sessionToken) {
        others.append(EchoingExchange.sessionToken)
      }
      expectNone(of: exchange.secrets + others, in: ["\(error)"])
    }
  }
}
