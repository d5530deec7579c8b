package import Platform
import Synchronization
package import WireFormats

/// A publish request that reached the emulator.
package struct ReceivedPublish: Sendable {
  package enum Verdict: Equatable, Sendable {
    /// The signature is valid and the publish was accepted.
    case accepted
    /// The status and AWS's message, and an explanation if that message is not specific.
    case refused(status: Int, message: String, explanation: String?)
  }

  /// The topic; nil if the request target contains no valid topic.
  package let topic: String?
  package let qos: QualityOfService
  package let payload: [UInt8]
  package let contentType: String?
  package let verdict: Verdict
}

/// The HTTPS publish operation of the AWS IoT data plane: `POST /topics/{topic}?qos=…`, signed with Signature Version 4.
///
/// It responds like AWS. The messages and limits come from "HTTPS" and "AWS IoT Core message broker and protocol limits and
/// quotas" in the AWS IoT Core developer guide.
package final class PublishEndpoint: Sendable {
  private static let payloadLimit = AWSIoTQuotas.publishPayloadBytes
  private static let topicLimit = 256
  private static let slashLimit = 7
  /// The number of publishes to keep. Older ones are dropped, because an emulator may run for weeks.
  private static let keptLimit = 256

  private let verifier: SignatureVerifier
  private let now: @Sendable () -> WallTime
  private let report: @Sendable (ReceivedPublish) -> Void
  private let kept = Mutex(Kept())

  private struct Kept {
    var publishes: [ReceivedPublish] = []
    var accepted = 0
    var refused = 0
  }

  /// Creates an endpoint that accepts requests whose signature `verifier` accepts. It passes each publish to `report`.
  package init(
    verifier: SignatureVerifier, now: @escaping @Sendable () -> WallTime = { .now },
    report: @escaping @Sendable (ReceivedPublish) -> Void = { _ in }
  ) {
    self.verifier = verifier
    self.now = now
    self.report = report
  }

  /// The most recent publishes, whether accepted or rejected, in the order of arrival.
  package var received: [ReceivedPublish] { kept.withLock { $0.publishes } }

  /// The number of publishes accepted and rejected so far.
  package var counts: (accepted: Int, refused: Int) { kept.withLock { ($0.accepted, $0.refused) } }

  static func isResponsible(for request: ReceivedRequest) -> Bool {
    request.path.hasPrefix("/topics") || isForShadow(request)
  }

  private static func isForShadow(_ request: ReceivedRequest) -> Bool {
    request.path.hasPrefix("/things/") && request.path.hasSuffix("/shadow")
  }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    let body = try await body.complete(limit: Self.payloadLimit + 1)
    return answer(request, body: body.bytes)
  }

  /// Returns the response to a publish. If the request's body exceeds the limit, `body` is its beginning.
  package func answer(_ request: ReceivedRequest, body: [UInt8]) -> Answer {
    let traceID = randomUUID()
    let headers = [
      HeaderField(.amznRequestID, traceID), HeaderField(.date, httpDate(now())),
    ]
    var refusal: Refusal?
    if Self.isForShadow(request) {
      return answer(to: shadowRefusal(request, body: body), headers, traceID)
    }
    var qos = QualityOfService.atMostOnce
    do throws(Refusal) {
      qos = try accept(request, body: body)
    } catch {
      refusal = error
    }
    let publish = ReceivedPublish(
      topic: topic(of: request), qos: qos, payload: body, contentType: request.value(of: .contentType),
      verdict: refusal.map {
        .refused(status: $0.status, message: $0.message, explanation: $0.explanation)
      } ?? .accepted)
    keep(publish)
    report(publish)
    guard let refusal else {
      return Answer(status: 200, headers: headers, object: ["message": "OK", "traceId": traceID])
    }
    return answer(to: refusal, headers, traceID)
  }

  /// Returns the response to a request for a thing's shadow. There are no shadows here, but `defender doctor` sends such a request
  /// to test whether its signature is accepted.
  private func shadowRefusal(_ request: ReceivedRequest, body: [UInt8]) -> Refusal {
    do throws(SignatureRefusal) {
      try verifier.verify(request, body: body, at: now())
    } catch {
      return Refusal(403, "ForbiddenException", error.message, because: error.explanation)
    }
    let thing = percentDecoding(request.path.dropFirst("/things/".count).dropLast("/shadow".count).utf8)
    return Refusal(
      404, "ResourceNotFoundException",
      "No shadow exists with name: '\(String(decoding: thing ?? [], as: UTF8.self))'")
  }

  private func answer(to refusal: Refusal, _ headers: [HeaderField], _ traceID: String) -> Answer {
    Answer(
      status: refusal.status, headers: headers + [HeaderField(.amznErrorType, refusal.errorType)],
      object: ["message": refusal.message, "traceId": traceID])
  }

  private func keep(_ publish: ReceivedPublish) {
    kept.withLock { kept in
      if kept.publishes.count == Self.keptLimit { kept.publishes.removeFirst() }
      kept.publishes.append(publish)
      if publish.verdict == .accepted { kept.accepted += 1 } else { kept.refused += 1 }
    }
  }

  /// Makes the same checks as AWS. Returns the quality of service.
  private func accept(_ request: ReceivedRequest, body: [UInt8]) throws(Refusal) -> QualityOfService {
    guard request.method == "POST" else {
      throw Refusal(405, "MethodNotAllowedException", "Method Not Allowed")
    }
    guard body.count <= Self.payloadLimit else {
      throw Refusal(
        413, "RequestEntityTooLargeException", "The payload exceeds the maximum size allowed",
        because: "AWS IoT accepts at most \(Self.payloadLimit) bytes")
    }
    do throws(SignatureRefusal) {
      try verifier.verify(request, body: body, at: now())
    } catch {
      // The data plane uses the same code for all authentication failures.
      throw Refusal(403, "ForbiddenException", error.message, because: error.explanation)
    }
    try checkTopic(request)
    return try qualityOfService(request)
  }

  private func checkTopic(_ request: ReceivedRequest) throws(Refusal) {
    func invalid(_ explanation: String) -> Refusal {
      Refusal(400, "InvalidRequestException", "Invalid topic", because: explanation)
    }
    let label = topicLabel(of: request)
    if label.contains("/") {
      throw Refusal(
        403, "ForbiddenException", "Forbidden", because: "a '/' in the topic must be sent as %2F")
    }
    guard let topic = topic(of: request), !topic.isEmpty else {
      throw invalid("the path contains no topic")
    }
    if topic.utf8.count > Self.topicLimit {
      throw invalid("the topic is longer than \(Self.topicLimit) bytes")
    }
    // AWS doesn't count the slashes of a reserved prefix such as `$aws/rules/<rule>/`. Here, all `$aws/` topics are exempt.
    if !topic.hasPrefix("$aws/"), topic.filter({ $0 == "/" }).count > Self.slashLimit {
      throw invalid("the topic has more than \(Self.slashLimit) slashes")
    }
    if topic.unicodeScalars.contains(where: { ["+", "#", "\0"].contains($0) }) {
      throw invalid("a topic to publish to can't contain '+', '#' or NUL")
    }
  }

  private func qualityOfService(_ request: ReceivedRequest) throws(Refusal) -> QualityOfService {
    for parameter in request.query.split(separator: "&") where parameter.hasPrefix("qos=") {
      switch parameter.dropFirst(4) {
      case "0": return .atMostOnce
      case "1": return .atLeastOnce
      default:
        throw Refusal(400, "InvalidRequestException", "Invalid QoS", because: "qos must be 0 or 1")
      }
    }
    return .atMostOnce
  }

  /// Returns the part of the path that contains the topic, still percent-encoded.
  private func topicLabel(of request: ReceivedRequest) -> Substring {
    request.path.hasPrefix("/topics/") ? request.path.dropFirst("/topics/".count) : ""
  }

  private func topic(of request: ReceivedRequest) -> String? {
    percentDecoding(topicLabel(of: request).utf8).flatMap { String(validating: $0, as: UTF8.self) }
  }
}

/// An error response of the AWS IoT data plane.
private struct Refusal: Error {
  let status: Int
  let errorType: String
  let message: String
  let explanation: String?

  init(_ status: Int, _ errorType: String, _ message: String, because explanation: String? = nil) {
    self.status = status
    self.errorType = errorType
    self.message = message
    self.explanation = explanation
  }
}

/// Returns a date in HTTP's format, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
func httpDate(_ time: WallTime) -> String {
  let civil = CivilTime(time)
  let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
  // 1 January 1970 was a Thursday.
  let dayNumber = Int((time.secondsSinceEpoch - (time.secondsSinceEpoch % 86_400 + 86_400) % 86_400) / 86_400)
  let day = days[((dayNumber % 7) + 7) % 7]
  func two(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
  let clock = "\(two(civil.hour)):\(two(civil.minute)):\(two(civil.second))"
  return "\(day), \(two(civil.day)) \(months[(civil.month + 11) % 12]) \(civil.year) \(clock) GMT"
}
