import Platform
import Testing

@testable import DeviceDefender

@Suite struct `A sequence of report ids` {
  @Test(
    arguments: [
      (0, 1_000, 1_000), (1_000, 1_000, 1_001), (2_000, 1_000, 2_001), (0, -5, 1), (.max, 1_000, .max),
    ] as [(UInt64, Int64, UInt64)])
  func `always increases`(last: UInt64, now: Int64, next: UInt64) {
    var sequence = ReportSequence(last: last)
    #expect(sequence.next(at: WallTime(secondsSinceEpoch: now)) == next)
    #expect(sequence.last == next)
  }

  @Test func `stays far below the bound in 10,000 restarts within one second`() throws {
    let now = WallTime(secondsSinceEpoch: 1_800_000_000)
    let origin = CounterOrigin(bootID: "b", networkNamespace: 1, procfs: "/proc")
    var saved = SavedState()
    for _ in 0..<10_000 {
      var sequence = ReportSequence(last: saved.lastReportID)
      saved.lastReportID = sequence.next(at: now)
      (saved, _) = try SavedState.decode(saved.encoded(origin))
    }
    #expect(saved.lastReportID == 1_800_009_999)
    #expect(ReportSequence.maximumLead > 100 * 10_000)
  }
}
