import LambdaRuntime
import Platform

/// One invocation by a test.
final class TestInvocation: @unchecked Sendable {
  let event: Event
  let requestID: String
  let timeout: Duration
  let headers: [HeaderField]
  let reply = Reply<ReceivedResponse>()
  private let lock = Lock()
  /// The response that the caller has received; nil before that.
  private var response: ReceivedResponse?

  init(_ event: Event, requestID: String, timeout: Duration, headers: [HeaderField]) {
    self.event = event
    self.requestID = requestID
    self.timeout = timeout
    self.headers = headers
  }

  /// The error that the caller of a function receives if Lambda ends the environment at the deadline.
  var timedOut: InvocationFailure {
    let (seconds, attoseconds) = timeout.components
    let hundredths = attoseconds / 10_000_000_000_000_000
    return InvocationFailure(
      type: "Sandbox.Timedout",
      message:
        "RequestId: \(requestID) Error: Task timed out after \(seconds).\(hundredths < 10 ? "0" : "")\(hundredths) seconds"
    )
  }

  /// Remembers that the caller has received `response`, while work after it may continue.
  func deliver(_ response: ReceivedResponse) {
    lock.withLock { self.response = response }
  }

  /// Ends the invocation of a function that doesn't return.
  func abandon() {
    guard var response = lock.withLock({ response }) else { return reply.resume(with: .failure(timedOut)) }
    response.workFailures.append(timedOut)
    reply.resume(with: .success(response))
  }
}

/// How long to wait after the deadline before a function counts as hung. A function that returns late has timed out anyway, but an
/// asynchronous one that was cancelled before the deadline may need longer on a busy machine.
private let grace = Duration.seconds(1)

/// Runs a function, on its own thread, as the runtime does.
struct FunctionHost<Function: Handler & ~Copyable>: ~Copyable {
  private var function: Function
  private let startup: Startup
  private let mailbox: Mailbox

  /// Creates the function and handles the messages in `mailbox`. Returns when that is closed.
  static func run(
    _ startup: Startup, _ mailbox: Mailbox, _ started: Reply<Void>,
    _ makeHandler: (Startup) throws -> Function
  ) {
    let function: Function
    do {
      function = try makeHandler(startup)
    } catch {
      let failure = InvocationFailure(error)
      startup.log.error("\(failure.type): \(failure.message)")
      return started.resume(with: .failure(failure.received))
    }
    started.resume(with: .success(()))
    var host = FunctionHost(function: function, startup: startup, mailbox: mailbox)
    host.serve()
  }

  private mutating func serve() {
    while let message = mailbox.next() {
      switch message {
      case .invoke(let invocation):
        startup.log.requestID = invocation.requestID
        handle(invocation)
        startup.log.requestID = nil
      case .shutDown(let reply):
        mailbox.close(.shutDown)
        function.shutDown()
        reply.resume(with: .success(()))
      }
    }
  }

  private mutating func handle(_ invocation: TestInvocation) {
    let start = BootTime.now
    let end = start.advanced(by: invocation.timeout)
    let deadline = WallTime.now.advanced(by: invocation.timeout)
    let mailbox = mailbox
    let timer = Task.detached {
      try await Task.sleep(for: invocation.timeout + grace)
      mailbox.close(.timedOut(requestID: invocation.requestID))
      invocation.abandon()
    }
    defer { timer.cancel() }
    do {
      let context = try Context(
        requestID: invocation.requestID, deadline: deadline, headers: invocation.headers,
        environment: startup.environment, log: startup.log)
      let response = try function.handle(invocation.event, context)
      var received: ReceivedResponse
      do {
        received = try response.collected()
      } catch {
        // As on Lambda, the work also runs if the response can't be sent.
        _ = response.runFollowUps(until: deadline, SystemWaiter(shutdown: nil), startup.log)
        throw error
      }
      guard BootTime.now < end else { return timeOut(invocation) }
      invocation.deliver(received)
      let time = SystemWaiter(shutdown: nil)
      received.workFailures = response.runFollowUps(until: deadline, time, startup.log).map(\.received)
      if BootTime.now >= end {
        received.workFailures.append(invocation.timedOut)
        mailbox.close(.timedOut(requestID: invocation.requestID))
      }
      invocation.reply.resume(with: .success(received))
    } catch {
      let failure = InvocationFailure(error)
      startup.log.error("\(failure.type): \(failure.message)")
      guard BootTime.now < end || failure.type == "Function.DeadlineExceeded" else {
        return timeOut(invocation)
      }
      invocation.reply.resume(with: .failure(failure.received))
    }
  }

  private func timeOut(_ invocation: TestInvocation) {
    mailbox.close(.timedOut(requestID: invocation.requestID))
    invocation.abandon()
  }
}
