internal import Foundation
package import Testing

/// Runs a suite's tests on threads of their own: tests that wait for processes, sockets or clocks would otherwise hold the
/// threads of Swift's pool, one a processor, while there are others that have something to compute.
package struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(WaitingThreads.shared, operation: function)
  }
}

extension Trait where Self == OwnThreads {
  /// For suites that wait more than they compute.
  package static var ownThreads: Self { OwnThreads() }
}

/// As many threads as may wait at a time; few enough that what they start doesn't starve.
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
