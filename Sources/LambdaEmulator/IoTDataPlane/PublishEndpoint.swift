package import Platform
import Synchronization
import WireFormats

/// One publish that reached the emulator.
package struct ReceivedPublish: Sendable {
  package enum Verdict: Equatable, Sendable {
    /// The signature was verified, and the publish accepted.
    case accepted
    /// The status and the words of the refusal, and, where they don't say it, what is wrong.
    case refused(status: Int, message: String, explanation: String?)
  }

  /// The topic; nil where the request target names none.
  package let topic: String?
  package let qos: Int
  package let payload: [UInt8]
  package let contentType: String?
  package let verdict: Verdict
}

/// The HTTPS publish of the AWS IoT data plane: `POST /topics/{topic}?qos=…`, signed with Signature Version 4.
///
/// Answers as AWS does; the texts and limits are those of "HTTPS" and "AWS IoT Core message broker and protocol
/// limits and quotas" in the AWS IoT Core developer guide.
package final class PublishEndpoint: Sendable {
  private static let payloadLimit = 128 * 1024
  private static let topicLimit = 256
  private static let slashLimit = 7
  /// An emulator may run for weeks: of what it got it keeps the newest.
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

  /// Accepts what `verifier` does; `report` is told of each publish.
  package init(
    verifier: SignatureVerifier, now: @escaping @Sendable () -> WallTime = { .now },
    report: @escaping @Sendable (ReceivedPublish) -> Void = { _ in }
  ) {
    self.verifier = verifier
    self.now = now
    self.report = report
  }

  /// The newest of what came, accepted or not, in the order of arrival.
  package var received: [ReceivedPublish] { kept.withLock { $0.publishes } }

  /// How many publishes were accepted and refused so far.
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

  /// The answer to a publish whose body is `body`, or begins with it where it is too long.
  package func answer(_ request: ReceivedRequest, body: [UInt8]) -> Answer {
    let traceID = randomUUID()
    let headers = [
      HeaderField(.amznRequestID, traceID), HeaderField(.date, httpDate(now())),
    ]
    var refusal: Refusal?
    if Self.isForShadow(request) {
      return answer(to: shadowRefusal(request, body: body), headers, traceID)
    }
    var qos = 0
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

  /// What is said to a request for the shadow of a thing, for which there is none here: `defender doctor` makes one to
  /// see whether its signature is accepted.
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

  /// Checks what AWS checks; returns the quality of service.
  private func accept(_ request: ReceivedRequest, body: [UInt8]) throws(Refusal) -> Int {
    guard request.method == "POST" else {
      throw Refusal(405, "MethodNotAllowedException", "Method Not Allowed")
    }
    guard body.count <= Self.payloadLimit else {
      throw Refusal(
        413, "RequestEntityTooLargeException", "The payload exceeds the maximum size allowed",
        because: "AWS IoT takes up to \(Self.payloadLimit) bytes")
    }
    do throws(SignatureRefusal) {
      try verifier.verify(request, body: body, at: now())
    } catch {
      // The data plane has one code for every failed authentication.
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
        403, "ForbiddenException", "Forbidden", because: "a '/' of the topic has to be sent as %2F")
    }
    guard let topic = topic(of: request), !topic.isEmpty else {
      throw invalid("there is no topic in the path")
    }
    if topic.utf8.count > Self.topicLimit { throw invalid("a topic has at most \(Self.topicLimit) bytes") }
    // The slashes of a reserved prefix aren't counted; `$aws/rules/<rule>/` and its like aren't told apart here.
    if !topic.hasPrefix("$aws/"), topic.filter({ $0 == "/" }).count > Self.slashLimit {
      throw invalid("a topic has at most \(Self.slashLimit) slashes")
    }
    if topic.unicodeScalars.contains(where: { ["+", "#", "\0"].contains($0) }) {
      throw invalid("'+', '#' and NUL can't be published to")
    }
  }

  private func qualityOfService(_ request: ReceivedRequest) throws(Refusal) -> Int {
    for parameter in request.query.split(separator: "&") where parameter.hasPrefix("qos=") {
      switch parameter.dropFirst(4) {
      case "0": return 0
      case "1": return 1
      default:
        throw Refusal(400, "InvalidRequestException", "Invalid QoS", because: "qos is 0 or 1")
      }
    }
    return 0
  }

  /// What stands for the topic in the path, as it was sent.
  private func topicLabel(of request: ReceivedRequest) -> Substring {
    request.path.hasPrefix("/topics/") ? request.path.dropFirst("/topics/".count) : ""
  }

  private func topic(of request: ReceivedRequest) -> String? {
    percentDecoding(topicLabel(of: request).utf8).flatMap { String(validating: $0, as: UTF8.self) }
  }
}

/// A refused publish: an error of the AWS IoT data plane.
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

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
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
