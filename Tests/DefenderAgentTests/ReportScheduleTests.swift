import DefenderAgent
import Platform
import Testing

@Suite struct `The schedule of reports` {
  private func second(_ seconds: Double) -> BootTime {
    BootTime(nanosecondsSinceBoot: Int64(seconds * 1e9))
  }

  @Test(arguments: [
    // The time after a report that was due at 10 s, with an interval of 5 s; when the next report is due.
    (10.0, 15.0), (10.001, 15), (14.999, 15), (15, 20), (15.1, 20), (37, 40), (1_000_000, 1_000_005),
  ])
  func `keeps its slot and doesn't catch up on missed reports`(now: Double, next: Double) {
    var schedule = ReportSchedule(interval: .seconds(5), first: second(10))
    schedule.advance(past: second(now))
    #expect(schedule.next == second(next))
  }

  @Test func `moves forward by less than an interval, and never back`() {
    var generator = SystemRandomNumberGenerator()
    var moves: Set<Duration> = []
    for _ in 0..<100 {
      var schedule = ReportSchedule(interval: .seconds(300), first: second(10))
      schedule.moveOn(using: &generator)
      let move = second(10).duration(to: schedule.next)
      #expect(move >= .zero && move < .seconds(300))
      moves.insert(move)
    }
    #expect(moves.count > 90)
  }

  @Test(arguments: [
    // The number of the last report, and whether the next report waits for the slot one interval later.
    (UInt64(0), false), (1_000, false), (999_990, true), (1_000_000, true), (1_000_001, false), (.max, false),
    (999_699, false),
  ])
  func `considers the last report only if its id is plausible`(lastReportID: UInt64, waits: Bool) {
    let first = FirstReport(
      interval: .seconds(300), lastReportID: lastReportID, now: WallTime(secondsSinceEpoch: 1_000_000))
    let offset = slotOffset(in: .seconds(300), thing: "thing")
    #expect(
      first.due(from: second(5), thing: "thing")
        == second(5).advanced(by: waits ? offset + .seconds(300) : offset))
    #expect((first.dueUnspread(from: second(5)) > second(5)) == waits)
  }

  @Test func `waits one interval after the last report, but no longer than necessary`() {
    let offset = slotOffset(in: .seconds(300), thing: "thing")
    // If the last report was made at the end of its second, it is at least this old.
    let enough = Int(300 - offset.inSeconds) + 2
    for (age, late) in [(enough - 2, true), (enough, false)] {
      let first = FirstReport(
        interval: .seconds(300), lastReportID: UInt64(1_000_000 - age),
        now: WallTime(secondsSinceEpoch: 1_000_000))
      #expect(
        first.due(from: second(5), thing: "thing")
          == second(5).advanced(by: late ? offset + .seconds(300) : offset), "\(age)")
      #expect(first.dueUnspread(from: second(5)) == second(5 + 300 - Double(age) + 1))
    }
    let now = FirstReport(
      interval: .seconds(300), lastReportID: 1_000_000, now: WallTime(secondsSinceEpoch: 1_000_000))
    #expect(now.dueUnspread(from: second(5)) == second(305))
  }

  @Test func `is always ahead of the clock, however far the clock jumps`() {
    for now in [Int64.max / 2, Int64.max - 1_000_000_000_000] {
      var schedule = ReportSchedule(interval: .milliseconds(1), first: second(1))
      schedule.advance(past: BootTime(nanosecondsSinceBoot: now))
      #expect(schedule.next > BootTime(nanosecondsSinceBoot: now))
    }
  }

  @Test func `spreads similarly named things evenly`() {
    var counts = [Int](repeating: 0, count: 10)
    for number in 0..<10_000 {
      let offset = slotOffset(in: .seconds(300), thing: "device-\(number)").inSeconds
      #expect((0..<300).contains(offset))
      counts[min(9, Int(offset / 30))] += 1
    }
    // 1,000 are expected in each tenth. Five standard deviations of an even spread are 150.
    #expect(counts.allSatisfy { (850...1_150).contains($0) })
  }

  @Test func `assigns a thing the same slot each time`() {
    let offset = slotOffset(in: .seconds(300), thing: "a")
    #expect(offset == slotOffset(in: .seconds(300), thing: "a"))
    #expect(offset != slotOffset(in: .seconds(300), thing: "b"))
  }
}
