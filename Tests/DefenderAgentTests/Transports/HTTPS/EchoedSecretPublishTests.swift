import AWSClient
import DefenderAgent
import HTTPClient
import Platform
import TestSupport
import Testing

@Suite struct `Publishing to a server that echoes the request` {
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
  func `puts no secret into the error of a publish or its log`(
    status: Int, shape: EchoingExchange.Shape
  ) throws {
    let exchange = EchoingExchange(status: status, shape)
    var lines: [String] = []
    let publisher = try testPublisher(
      exchange,
      credentials: [
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": EchoingExchange.secretKey,
        "AWS_SESSION_TOKEN": EchoingExchange.sessionToken,
      ], log: Log(level: .trace) { lines.append(String(decoding: $1, as: UTF8.self)) })
    let error = try #require(throws: PublishError.self) { try testPublish(with: publisher) }
    #expect(
      exchange.secrets.contains(EchoingExchange.sessionToken) && exchange.secrets.contains { $0.count == 64 })
    expectNone(
      of: exchange.secrets,
      in: lines + ["\(error)", error.code ?? "", error.message ?? "", error.requestID ?? ""])
    #expect("\(error)".contains("status \(status)"))
  }
}
