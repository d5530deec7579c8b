package import Platform
import WireFormats

/// The operation Publish of Amazon SNS (query protocol, version 2010-03-31). Reports each message, and sends it nowhere.
package struct AlertEndpoint: Sendable {
  /// The largest request: a message of 256 KB, percent-encoded.
  private static let requestLimit = 1 << 20

  private let verifier: SignatureVerifier
  private let now: @Sendable () -> WallTime
  private let report: @Sendable (EmulatorEvent) -> Void

  /// Creates an endpoint that accepts requests whose signature `verifier` accepts.
  package init(
    verifier: SignatureVerifier, now: @escaping @Sendable () -> WallTime,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    self.verifier = verifier
    self.now = now
    self.report = report
  }

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path == "/" }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    let form = try await body.complete(limit: Self.requestLimit)
    guard !form.isCut else { return refusal(413, "RequestEntityTooLarge", "The request is too large") }
    return answer(request, body: form.bytes)
  }

  /// Returns the response to a request whose body is `body`.
  package func answer(_ request: ReceivedRequest, body: [UInt8]) -> Answer {
    do throws(SignatureRefusal) {
      try verifier.verify(request, body: body, at: now())
    } catch {
      return refusal(403, "SignatureDoesNotMatch", error.message)
    }
    var fields: [String: String] = [:]
    for field in String(decoding: body, as: UTF8.self).split(separator: "&") {
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let value = percentDecoding(parts[1].utf8) else { continue }
      fields[String(parts[0])] = String(decoding: value, as: UTF8.self)
    }
    guard fields["Action"] == "Publish" else {
      return refusal(400, "InvalidAction", "Only the action Publish is emulated")
    }
    guard let topic = fields["TopicArn"], topic.hasPrefix("arn:"), fields["Message"] != nil else {
      return refusal(400, "InvalidParameter", "Invalid parameter: TopicArn or Message")
    }
    report(.notice("An alert for the SNS topic \(topic): \(fields["Subject"] ?? "no subject")"))
    return xml(
      200,
      "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>\(randomUUID())</MessageId>"
        + "</PublishResult><ResponseMetadata><RequestId>\(randomUUID())</RequestId></ResponseMetadata></PublishResponse>"
    )
  }

  /// `message` must not contain characters that XML reserves.
  private func refusal(_ status: Int, _ code: String, _ message: String) -> Answer {
    let text = message.filter { !"<>&".contains($0) }
    return xml(
      status,
      "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>\(code)</Code>"
        + "<Message>\(text)</Message></Error><RequestId>\(randomUUID())</RequestId></ErrorResponse>")
  }

  private func xml(_ status: Int, _ text: String) -> Answer {
    Answer(
      status: status, headers: [HeaderField(.contentType, "text/xml")], body: .bytes(Array(text.utf8)))
  }
}
