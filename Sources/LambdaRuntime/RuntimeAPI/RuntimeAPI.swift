package import Platform
import WireFormats

/// A client of the Lambda Runtime API, which hands out events and accepts responses (Lambda developer guide, "Using the Lambda
/// runtime API for custom runtimes").
///
/// A failed exchange alone never ends the process. The client repeats a failed poll. No event is lost by that, because Lambda hands out the
/// same event until it is answered. The client also repeats a response that gets no reply. If Lambda then rejects the second one with status
/// 400, 403 or 410, it had probably accepted the first.
final class RuntimeAPI {
  let connection: RuntimeConnection
  let log: Log
  let time: any Waiter
  /// The head of the answer being sent. A property, so that its buffer is reused.
  var head: [UInt8] = []
  private let endpoint: RuntimeEndpoint
  private let function: FunctionDescription
  let shutdown: ShutdownSignal?
  /// Whether Lambda ends an invocation at its deadline. It doesn't on Managed Instances.
  let enforcesDeadlines: Bool
  private let commonFields: [UInt8]
  private let pollRequest: [UInt8]

  init(
    _ endpoint: RuntimeEndpoint, environment: Environment, log: Log, time: any Waiter,
    shutdown: ShutdownSignal?
  ) {
    self.endpoint = endpoint
    connection = RuntimeConnection(to: endpoint, until: shutdown)
    function = FunctionDescription(environment, log)
    self.log = log
    self.time = time
    self.shutdown = shutdown
    enforcesDeadlines = environment.hasEnforcedDeadlines
    commonFields = Array(" HTTP/1.1\r\n\(requestFields(to: endpoint))".utf8)
    pollRequest = Array("GET \(apiPath)/invocation/next".utf8) + commonFields + Array("\r\n".utf8)
  }

  /// Waits for the next event. Returns nil if the process was asked to stop.
  func nextInvocation() throws(RuntimeAPIError) -> Invocation? {
    var streak = FailureStreak(time)
    while true {
      if let shutdown, shutdown.isRequested { return nil }
      do throws(ExchangeError) {
        let answer = try waitForAnswer(to: pollRequest)
        return try Invocation(head: answer.head, body: answer.body, function: function, log: log)
      } catch {
        guard try shouldPollAgain(after: error, &streak, for: "event") else { return nil }
      }
    }
  }

  /// Waits until SnapStart has restored this process. Returns false if the process was asked to stop.
  func waitForRestore() throws(RuntimeAPIError) -> Bool {
    let request = Array("GET \(apiPath)/restore/next".utf8) + commonFields + Array("\r\n".utf8)
    var streak = FailureStreak(time)
    while true {
      if let shutdown, shutdown.isRequested { return false }
      do throws(ExchangeError) {
        _ = try waitForAnswer(to: request)
        connection.close()
        return true
      } catch {
        guard try shouldPollAgain(after: error, &streak, for: "restore") else { return false }
      }
    }
  }

  private func waitForAnswer(to request: [UInt8]) throws(ExchangeError) -> RuntimeConnection.Answer {
    let answer = try connection.poll(request)
    guard answer.head.status == 200 else {
      throw .refused(status: answer.head.status, reason: reason(in: answer.body))
    }
    return answer
  }

  /// Waits before a failed poll is retried. Returns false if the process was asked to stop; throws if it is time to give up.
  private func shouldPollAgain(
    after error: ExchangeError, _ streak: inout FailureStreak, for awaited: String
  ) throws(RuntimeAPIError) -> Bool {
    if error == .shutdown { return false }
    if connection.wasReused, error.isOfStaleConnection { return true }
    if streak.isNew {
      log.warn("No \(awaited) from the Runtime API at \(endpoint.authority), trying again: \(error).")
    }
    guard let pause = streak.pause(after: error) else {
      throw .givingUp(endpoint: endpoint.authority, after: streak.absence, last: "\(error)")
    }
    return time.wait(until: time.bootTime.advanced(by: pause)) == .onTime
  }

  /// Stores the head of a POST to `destination` in `head`. Every field except the last must end in CRLF.
  func setHead(_ destination: Destination, _ fields: String...) {
    head.removeAll(keepingCapacity: true)
    head.append(contentsOf: "POST ".utf8)
    head.append(contentsOf: apiPath.utf8)
    destination.append(to: &head)
    head.append(contentsOf: commonFields)
    if let invocationID = destination.invocationID {
      head.append(contentsOf: "Lambda-Runtime-Invocation-Id: ".utf8)
      head.append(contentsOf: invocationID)
      head.append(contentsOf: "\r\n".utf8)
    }
    for field in fields { head.append(contentsOf: field.utf8) }
    head.append(contentsOf: "\r\n\r\n".utf8)
  }
}

extension Environment {
  /// Whether Lambda ends an invocation at its deadline. It doesn't on Managed Instances.
  package var hasEnforcedDeadlines: Bool {
    self["AWS_LAMBDA_INITIALIZATION_TYPE"] != "lambda-managed-instances"
  }
}

/// The common prefix of all Runtime API paths.
private let apiPath = "/2018-06-01/runtime"

/// Returns the header fields that every request contains: `Host` and `User-Agent`.
///
/// Lambda's logs show the first word of the user agent as the runtime's release.
func requestFields(to endpoint: RuntimeEndpoint) -> String {
  "Host: \(endpoint.authority)\r\nUser-Agent: LambdaRuntime-Swift/\(packageVersion)\r\n"
}

/// Returns the first 300 bytes of a reply's body, which explains why a request was rejected.
func reason(in body: [UInt8]) -> String {
  let text = body.prefix(300).reversed().drop { $0 <= 0x20 }.reversed()
  return text.isEmpty ? "(no reason given)" : String(decoding: text, as: UTF8.self)
}

/// Returns `text` without control characters, such as line breaks, so that it is a valid header value.
func headerValue(_ text: String) -> String {
  guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
  return String(decoding: text.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self)
}
