import HTTPClient
package import Platform
import WireFormats

/// Publishes to topics of Amazon SNS (query protocol, version 2010-03-31).
package final class SNSClient {
  /// The largest message in bytes.
  package static let messageLimit = 262_144

  private let endpoint: ServiceEndpoint
  private let client: ServiceClient

  /// Creates a client. `client` signs for ``AWSService/sns``.
  package init(_ client: ServiceClient, _ endpoint: ServiceEndpoint) {
    self.client = client
    self.endpoint = endpoint
  }

  /// Publishes a message. SNS may deliver it twice if the first response was lost.
  package func publish(
    _ message: String, subject: String, topicARN: String, until deadline: BootTime
  ) throws(SNSError) {
    guard message.utf8.count <= Self.messageLimit else {
      throw SNSError(.tooLarge(message.utf8.count), topicARN: topicARN)
    }
    let form = [
      ("Action", "Publish"), ("Message", message), ("Subject", subject), ("TopicArn", topicARN),
      ("Version", "2010-03-31"),
    ]
    let body = form.map { "\($0)=\(percentEncoding($1.utf8))" }.joined(separator: "&")
    let request = HTTPRequest(
      method: "POST", url: endpoint.url("/"),
      headers: [HeaderField(.contentType, "application/x-www-form-urlencoded; charset=utf-8")],
      body: Array(body.utf8))
    let response: HTTPResponse
    do throws(ServiceFailure) {
      response = try client.send(request, until: deadline).response
    } catch {
      throw SNSError(.service(error.cause), topicARN: topicARN)
    }
    // Any web server can answer with status 200.
    guard xmlText("MessageId", in: String(decoding: response.body, as: UTF8.self)) != nil else {
      throw SNSError(.noMessageID, topicARN: topicARN)
    }
  }
}

/// Why a message couldn't be published to an SNS topic.
package struct SNSError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Cause: Equatable, Sendable {
    case service(ServiceFailure.Cause)
    case tooLarge(Int)
    case noMessageID
  }

  package let cause: Cause
  package let topicARN: String

  init(_ cause: Cause, topicARN: String) {
    self.cause = cause
    self.topicARN = topicARN
  }

  package var description: String {
    let failed = "Publishing to the SNS topic '\(topicARN)' failed"
    switch cause {
    case .tooLarge(let count): return "\(failed): the message has \(count) bytes; SNS accepts 262144."
    case .noMessageID:
      return "\(failed): the answer contains no MessageId, so it isn't from SNS. Check AWS_ENDPOINT_URL_SNS."
    case .service(let cause):
      return "\(failed): \(sentence(ServiceFailure(cause, attempts: 0).reason)) \(advice(cause))"
    }
  }

  private func advice(_ cause: ServiceFailure.Cause) -> String {
    let failure = ServiceFailure(cause, attempts: 0)
    switch failure.refusal?.code {
    case "NotFound", "NotFoundException": return "Create the topic, or correct the profile's alertTargetArn."
    case "AuthorizationError", "AuthorizationErrorException", "AccessDenied":
      return "Allow the role sns:Publish on the topic."
    default: return failure.advice
    }
  }
}
