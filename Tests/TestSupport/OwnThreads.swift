internal import Foundation
package import Testing

/// Runs each test of a suite on a separate thread. Tests that wait for processes, sockets or clocks would otherwise block Swift's
/// thread pool, which has only one thread per processor.
package struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(WaitingThreads.shared, operation: function)
  }
}

extension Trait where Self == OwnThreads {
  /// Use this for suites that wait more than they compute.
  package static var ownThreads: Self { OwnThreads() }
}

/// The maximum number of concurrent threads. Low enough that the processes that they start get enough processor time.
private final class WaitingThreads: TaskExecutor {
  static let shared = WaitingThreads()

  private let threads: OperationQueue

  private init() {
    threads = OperationQueue()
    threads.maxConcurrentOperationCount = 4
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    threads.addOperation { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
