import Synchronization

/// The log of one invocation. Keeps the last 4 KB, which a caller can request with `X-Amz-Log-Type`.
package final class InvocationLog: Sendable {
  /// The number of bytes that Lambda returns in `X-Amz-Log-Result` (API reference, "Invoke").
  private static let limit = 4_096

  private struct State {
    var tail: [UInt8] = []
    var isComplete = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  func append(_ line: String) {
    state.withLock { state in
      state.tail += line.utf8
      state.tail.append(UInt8(ascii: "\n"))
      state.tail.removeFirst(max(0, state.tail.count - Self.limit))
    }
  }

  /// Records that the invocation has ended.
  func end() {
    let waiting = state.withLock { state in
      state.isComplete = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns the last 4 KB of the log. Waits until the invocation has ended, which it does after a streamed response.
  package func tail() async -> [UInt8] {
    await withCheckedContinuation { continuation in
      let isComplete = state.withLock { state in
        if !state.isComplete { state.waiting.append(continuation) }
        return state.isComplete
      }
      if isComplete { continuation.resume() }
    }
    return state.withLock { $0.tail }
  }
}

/// Passes on the events of an execution environment, and adds the log's lines to the log of the current invocation.
final class LogRecorder: Sendable {
  private let report: @Sendable (EmulatorEvent) -> Void
  private let current = Mutex<InvocationLog?>(nil)

  init(_ report: @escaping @Sendable (EmulatorEvent) -> Void) {
    self.report = report
  }

  /// Starts the log of an invocation.
  func begin() -> InvocationLog {
    let log = InvocationLog()
    current.withLock { $0 = log }
    return log
  }

  /// Ends the current invocation's log.
  func end() {
    current.withLock { log in
      defer { log = nil }
      return log
    }?.end()
  }

  func record(_ event: EmulatorEvent) {
    switch event {
    case .platform(let line), .output(let line): current.withLock { $0 }?.append(line)
    case .notice, .publish, .violation: break
    }
    report(event)
  }
}
