import Platform

/// The Lambda Runtime API: the next event, and the answer to it (Lambda developer guide, "Using the Lambda runtime API
/// for custom runtimes").
///
/// What goes wrong here never ends the process by itself. A poll is repeated, which is safe: an event that is being
/// answered is handed out again. A response that got no answer is sent again, and a refusal of the second one as
/// out of turn means that the first one had arrived.
final class RuntimeAPI {
  /// What RAPID, the Runtime API's server, takes: 6 MiB and 100 bytes.
  static let maximumResponseBytes = 6_291_556
  /// How often an answer is sent before it is given up.
  private static let answerAttempts = 4

  private let endpoint: RuntimeEndpoint
  private let connection: RuntimeConnection
  private let function: FunctionDescription
  private let log: Log
  private let time: any TimeKeeper
  private let shutdown: ShutdownSignal?
  private let pollRequest: [UInt8]
  private let commonFields: String

  init(
    _ endpoint: RuntimeEndpoint, environment: Environment, log: Log, time: any TimeKeeper,
    shutdown: ShutdownSignal?
  ) {
    self.endpoint = endpoint
    connection = RuntimeConnection(to: endpoint)
    function = FunctionDescription(environment)
    self.log = log
    self.time = time
    self.shutdown = shutdown
    commonFields = " HTTP/1.1\r\nHost: \(endpoint.authority)\r\nUser-Agent: \(userAgent)\r\n"
    pollRequest = Array("GET \(apiPath)/invocation/next\(commonFields)\r\n".utf8)
  }

  /// Waits for the next event; nil where the process was asked to stop.
  func nextInvocation() throws(RuntimeAPIError) -> Invocation? {
    var streak = FailureStreak(time)
    while true {
      if let shutdown, shutdown.isRequested { return nil }
      do throws(ExchangeError) {
        return try poll()
      } catch {
        if error == .shutdown { return nil }
        if connection.wasReused, error.isOfStaleConnection { continue }
        if streak.isNew {
          log.warn("no event from the Runtime API at \(endpoint.authority), trying again: \(error)")
        }
        guard let pause = streak.pause(after: error) else {
          throw .givingUp(endpoint: endpoint.authority, after: streak.duration, last: "\(error)")
        }
        if time.sleep(until: time.bootTime.advanced(by: pause)) == .shutdown { return nil }
      }
    }
  }

  private func poll() throws(ExchangeError) -> Invocation {
    let answer = try connection.poll(pollRequest, until: shutdown)
    guard answer.head.status == 200 else {
      throw .refused(status: answer.head.status, reason: reason(in: answer.body))
    }
    return try Invocation(head: answer.head, body: answer.body, function: function, log: log)
  }

  /// Answers an invocation, with an error in place of a response that Lambda would not take.
  func answer(_ invocation: consuming Invocation, with outcome: Result<Response, InvocationFailure>) {
    let path = "/invocation/\(invocation.context.requestID)"
    switch outcome {
    case .success(let response) where response.body.count > Self.maximumResponseBytes:
      let message =
        "the response has \(response.body.count) bytes; Lambda takes \(Self.maximumResponseBytes) at most"
      log.error(message)
      post(InvocationFailure(type: "Function.ResponseSizeTooLarge", message: message), to: path + "/error")
    case .success(let response):
      let fields = "Content-Type: \(fieldValue(response.contentType))\r\n"
      deliver(to: path + "/response", fields, response.body)
    case .failure(let failure):
      post(failure, to: path + "/error")
    }
  }

  /// Tells Lambda that the function can't start.
  func reportInitialisationFailure(_ failure: InvocationFailure) {
    post(failure, to: "/init/error")
  }

  private func post(_ failure: InvocationFailure, to path: String) {
    let fields = """
      Content-Type: application/vnd.aws.lambda.error+json\r
      Lambda-Runtime-Function-Error-Type: \(failure.keptType)\r
      Lambda-Runtime-Function-XRay-Error-Cause: \(failure.xRayCause)\r\n
      """
    deliver(to: path, fields, failure.document)
  }

  /// Sends an answer until it is taken or refused; what came of it other than success is in the log.
  private func deliver(to path: String, _ fields: String, _ body: [UInt8]) {
    let head = Array(
      "POST \(apiPath)\(path)\(commonFields)\(fields)Content-Length: \(body.count)\r\n\r\n".utf8)
    var streak = FailureStreak(time)
    for attempt in 1...Self.answerAttempts {
      do throws(ExchangeError) {
        let answer = try connection.post(head, body)
        logRefusal(of: path, answer, bytes: body.count, wasSentBefore: attempt > 1)
        return
      } catch {
        if streak.isNew { log.warn("\(path) got no answer, sending it again: \(error)") }
        guard let pause = streak.pause(after: error), attempt < Self.answerAttempts else {
          log.error("\(path) could not be delivered: \(error)")
          return
        }
        // Also where the process was asked to stop: somebody waits for this answer, and there are few attempts.
        if !connection.wasReused { _ = time.sleep(until: time.bootTime.advanced(by: pause)) }
      }
    }
  }

  private func logRefusal(
    of path: String, _ answer: RuntimeConnection.Answer, bytes: Int, wasSentBefore: Bool
  ) {
    switch answer.head.status {
    case 200..<300: break
    case 403 where wasSentBefore:
      log.info("\(path) had arrived the first time")
    case 413:
      log.error(
        "\(path) was refused for its size: it has \(bytes) bytes, Lambda takes \(Self.maximumResponseBytes); "
          + reason(in: answer.body))
    default:
      log.error("\(path) was refused with status \(answer.head.status): \(reason(in: answer.body))")
    }
  }
}

/// The path that all requests of the Runtime API begin with.
private let apiPath = "/2018-06-01/runtime"

/// The first word becomes the runtime's release in Lambda's logs.
private let userAgent = "device-defender-swift/1.0"

/// The start of an answer's body, which says why a request was refused.
private func reason(in body: [UInt8]) -> String {
  body.isEmpty ? "no reason given" : String(decoding: body.prefix(300), as: UTF8.self)
}

/// `text` as a header field can carry it: without line breaks and other control characters.
private func fieldValue(_ text: String) -> String {
  String(decoding: text.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self)
}
