import DefenderAgent
import Platform
import TestSupport
import Testing

@Suite struct `The delay before another attempt to connect` {
  private let now = BootTime(nanosecondsSinceBoot: 1_000_000_000)

  /// Returns the delays of many clients after this number of consecutive failures, in seconds.
  private func delays(afterFailures failures: Int) -> [Double] {
    (1...500).map { seed in
      var random = SeededRandom(seed: UInt64(seed))
      var delay = ReconnectDelay(first: .seconds(1), longest: .seconds(60))
      for _ in 0..<failures { delay.failed(at: now, using: &random) }
      return delay.notBefore.map { now.duration(to: $0).inSeconds } ?? 0
    }
  }

  @Test(arguments: [(1, 1.0), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (1_000, 60)])
  func `doubles up to its limit, and half of it is random`(failures: Int, full: Double) throws {
    let delays = delays(afterFailures: failures)
    let (shortest, longest) = (try #require(delays.min()), try #require(delays.max()))
    #expect(shortest >= full / 2 && shortest < full * 0.55)
    #expect(longest <= full && longest > full * 0.95)
    // A fleet that lost its broker at one moment is spread over half of the delay.
    #expect(delays.count { $0 < full * 0.75 } > 200)
    #expect(delays.count { $0 >= full * 0.75 } > 200)
  }

  @Test func `starts over after a success`() {
    var random = SeededRandom(seed: 1)
    var delay = ReconnectDelay(first: .seconds(1), longest: .seconds(60))
    for _ in 0..<6 { delay.failed(at: now, using: &random) }
    delay.succeeded()
    #expect(delay.notBefore == nil)
    delay.failed(at: now, using: &random)
    #expect(delay.notBefore.map { now.duration(to: $0) <= .seconds(1) } == true)
  }
}
