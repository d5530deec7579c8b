import Testing

@testable import DeviceDefender

@Suite struct `A reader of processor times` {
  @Test(
    arguments: [
      "", "cpu", "cpu ", "cpu0 1 2 3 4", "intr 1 2 3 4", "cpu 1 2 3", "cpu 1 2 3 x", "cpu 1 2 3 -4",
      "cpu 1 2 3 18446744073709551616", " cpu 1 2 3 4",
    ])
  func `rejects a line with too few times`(text: String) {
    #expect(ProcessorTimes(text: text) == nil)
  }

  @Test(
    arguments: [
      ("cpu  0 0 0 0", "cpu  0 0 0 0", 0), ("cpu  1 0 0 0", "cpu  2 0 0 0", 100),
      ("cpu  1 0 0 0", "cpu  1 0 0 9", 0),
      ("cpu  0 0 0 0 0 0 0 0 0 0", "cpu  60 0 0 40 0 0 0 0 60 0", 60), ("cpu  5 5 5 5", "cpu  4 4 4 4", 0),
      ("cpu  0 0 0 0 0 0 0 0 0 0", "cpu  1 0 0 1 1 0 0 0 0 0", 33.3),
      ("cpu  0 0 0 0", "cpu  18446744073709551615 0 0 18446744073709551615", 50),
      ("cpu  0 0 0 0 9", "cpu  3 0 0 1 8", 75),
    ])
  func `computes the processor usage`(before: String, now: String, percent: Double) throws {
    let earlier = try #require(ProcessorTimes(text: before))
    let later = try #require(ProcessorTimes(text: now))
    #expect(later.busyPercent(since: earlier) == percent)
  }
}

extension ProcessorTimes {
  init?(text: String) {
    let bytes = Array(text.utf8)
    self.init(line: bytes.span)
  }
}
