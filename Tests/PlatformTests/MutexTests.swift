import Synchronization
import Testing

/// Swift's `Mutex` under the thread sanitizer, which must see the handover of a contended lock (`ThreadSanitizerSupport`).
@Suite("Mutex")
struct MutexTests {
  private final class Counter: Sendable {
    let values = Mutex([0])
  }

  @Test("contended, it is no data race for the thread sanitizer")
  func contended() async {
    let counter = Counter()
    await withTaskGroup(of: Void.self) { tasks in
      for _ in 0..<4 {
        tasks.addTask { for _ in 0..<20_000 { counter.values.withLock { $0[0] += 1 } } }
      }
    }
    #expect(counter.values.withLock { $0[0] } == 80_000)
  }
}
