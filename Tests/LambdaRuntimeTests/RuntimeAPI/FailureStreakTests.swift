import Glibc
import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

@Suite struct `A failure streak` {
  private let absent = ExchangeError.unreachable(Errno(rawValue: ECONNREFUSED))
  private let refused = ExchangeError.refused(status: 500, reason: "")

  @Test func `gives up if the server is unreachable for a second and a half`() {
    let time = ManualTime()
    var streak = FailureStreak(time)
    var failures = 0
    while streak.pause(after: absent) != nil, failures < 100 {
      failures += 1
      time.advance(by: .milliseconds(100))
    }
    #expect(failures == 15)
    #expect(streak.absence == .milliseconds(1_500))
  }

  @Test func `restarts the count of unreachable time after any other failure`() {
    let time = ManualTime()
    var streak = FailureStreak(time)
    for other in [refused, .closed, .cutOff("the body"), .timedOut("connecting")] {
      for error in [absent, other] {
        let pause = streak.pause(after: error)
        #expect(pause != nil, "\(error)")
        time.advance(by: .seconds(1))
      }
    }
    let first = streak.pause(after: absent)
    #expect(first != nil)
    time.advance(by: .seconds(2))
    let second = streak.pause(after: absent)
    #expect(second == nil)
  }

  @Test func `subtracts a random amount of up to one half from each delay`() throws {
    let waits = try (0..<500).map { _ in
      var streak = FailureStreak(ManualTime())
      let pause = streak.pause(after: refused)
      return try #require(pause)
    }
    #expect(waits.allSatisfy { $0 >= .milliseconds(25) && $0 <= .milliseconds(50) })
    #expect(waits.contains { $0 < .milliseconds(30) } && waits.contains { $0 > .milliseconds(45) })
  }

  @Test(arguments: [(FixedGenerator.lowest, 0.5), (.highest, 1.0)])
  func `draws the cut from the generator that it is given`(generator: FixedGenerator, factor: Double) throws {
    var streak = FailureStreak(ManualTime(), random: generator)
    for wait in [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2] {
      let next = streak.pause(after: refused)
      let pause = try #require(next)
      #expect(abs(pause.inSeconds - wait * factor) < 0.001)
    }
  }

  @Test func `never gives up if the server replies, and waits at most two seconds`() throws {
    let time = ManualTime()
    var streak = FailureStreak(time)
    var shortest = Duration.milliseconds(25)
    for _ in 0..<1_000 {
      let next = streak.pause(after: refused)
      let pause = try #require(next)
      #expect(pause >= shortest && pause <= min(shortest * 2, .seconds(2)))
      shortest = min(shortest * 2, .seconds(1))
      time.advance(by: .seconds(3_600))
    }
  }
}
