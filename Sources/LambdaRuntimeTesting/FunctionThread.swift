import Dispatch
import Glibc
import LambdaRuntime
import Platform

/// Starts a thread that runs `body` and ends.
///
/// Handlers may block their thread. Swift's thread pool has only one thread per processor, so blocking one there stops other tasks.
func startThread(_ body: @escaping @Sendable () -> Void) throws(Errno) {
  let argument = unsafe Unmanaged.passRetained(ThreadBody(body))
  var thread = pthread_t()
  let error = unsafe pthread_create(&thread, nil, runThread, argument.toOpaque())
  guard error == 0 else {
    unsafe argument.release()
    throw Errno(rawValue: error)
  }
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void

  init(_ run: @escaping @Sendable () -> Void) {
    self.run = run
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  if let argument = unsafe argument {
    unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
  }
  return nil
}

/// Carries messages to the thread of a function.
final class Mailbox: Sendable {
  enum Message: Sendable {
    case invoke(TestInvocation)
    case shutDown(Reply<Void>)
  }

  private final class State: @unchecked Sendable {
    var messages: [Message] = []
    /// Why no more messages are accepted; nil if they are.
    var end: TestRuntimeError?
  }

  private let lock = Lock()
  private let state = State()
  private let signal = DispatchSemaphore(value: 0)

  /// Adds a message, or fails with the reason why the mailbox is closed.
  func send(_ message: Message) throws(TestRuntimeError) {
    let end = lock.withLock {
      if state.end == nil { state.messages.append(message) }
      return state.end
    }
    if let end { throw end }
    signal.signal()
  }

  /// Waits for the next message. Returns nil after the mailbox was closed.
  func next() -> Message? {
    signal.wait()
    return lock.withLock { state.messages.isEmpty ? nil : state.messages.removeFirst() }
  }

  /// Accepts no more messages, and fails those that nobody has read.
  func close(_ reason: TestRuntimeError) {
    let rest: [Message] = lock.withLock {
      guard state.end == nil else { return [] }
      state.end = reason
      defer { state.messages = [] }
      return state.messages
    }
    for message in rest {
      switch message {
      case .invoke(let invocation): invocation.reply.resume(with: .failure(reason))
      case .shutDown(let reply): reply.resume(with: .failure(reason))
      }
    }
    signal.signal()
  }
}

/// A result that one thread provides and a task awaits. Only the first result counts.
final class Reply<Value: Sendable>: @unchecked Sendable {
  private let lock = Lock()
  private var result: Result<Value, any Error>?
  private var continuation: CheckedContinuation<Value, any Error>?

  func resume(with result: Result<Value, any Error>) {
    let waiting: CheckedContinuation<Value, any Error>? = lock.withLock {
      guard self.result == nil else { return nil }
      self.result = result
      return continuation
    }
    waiting?.resume(with: result)
  }

  /// The result. Throws a `CancellationError` if the task that awaits it is cancelled.
  var value: Value {
    get async throws {
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          let known: Result<Value, any Error>? = lock.withLock {
            self.continuation = continuation
            return result
          }
          if let known { continuation.resume(with: known) }
        }
      } onCancel: {
        resume(with: .failure(CancellationError()))
      }
    }
  }
}
