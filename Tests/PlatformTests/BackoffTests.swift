import Platform
import TestSupport
import Testing

struct `A back-off` {
  private let backoff = Backoff(first: .milliseconds(250), cap: .seconds(30), jitter: 0.5)

  @Test(arguments: [
    (1, 250), (2, 500), (3, 1_000), (7, 16_000), (8, 30_000), (9, 30_000), (Int.max, 30_000),
    (0, 250), (-1, 250),
  ])
  func `grows with each failure, up to its cap`(failures: Int, milliseconds: Int) {
    #expect(backoff.ceiling(afterFailures: failures) == .milliseconds(milliseconds))
  }

  @Test(arguments: [(3, 1, 9), (1, 1, 1), (10, 3, 100)])
  func `grows by its factor`(factor: Int, first: Int, third: Int) {
    let backoff = Backoff(first: .seconds(first), factor: factor, cap: .seconds(100), jitter: 0)
    #expect(backoff.ceiling(afterFailures: 3) == .seconds(third))
  }

  @Test func `never waits longer than its cap, not even at first`() {
    #expect(
      Backoff(first: .seconds(60), cap: .seconds(5), jitter: 0).ceiling(afterFailures: 1) == .seconds(5))
    #expect(Backoff(first: .zero, cap: .seconds(5), jitter: 0).ceiling(afterFailures: 1_000) == .zero)
  }

  @Test(arguments: [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (2.0, 0.0)])
  func `draws the random part from the generator`(jitter: Double, shortest: Double) {
    let backoff = Backoff(first: .seconds(8), cap: .seconds(8), jitter: jitter)
    var random = SeededRandom(seed: 7)
    let waits = (0..<500).map { _ in backoff.delay(afterFailures: 1, using: &random).inSeconds }
    #expect(waits.allSatisfy { $0 >= 8 * shortest && $0 <= 8 })
    #expect(jitter == 0 || waits.contains { $0 < 8 * shortest + 0.5 } && waits.contains { $0 > 7.5 })
    var again = SeededRandom(seed: 7)
    #expect(backoff.delay(afterFailures: 1, using: &again).inSeconds == waits[0])
  }
}
