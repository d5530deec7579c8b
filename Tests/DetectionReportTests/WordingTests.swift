import Testing

@testable import DetectionReport

struct WordingTests {
  @Test(arguments: [
    (0, "0"), (4_096, "4,096"), (9_999, "9,999"), (10_000, "10 k"), (61_234, "61.2 k"), (999_400, "999 k"),
    (999_600, "1 M"), (1.8446744073709552e19, "18.4 E"), (0.25, "0.25"), (12.34, "12.34"), (-3, "−3"),
    (1e300, "1e+300"), (.infinity, "> 3.4e38"), (-.infinity, "< −3.4e38"), (0.001, "0.001"),
  ])
  func `shortens numbers`(row: (value: Double, expected: String)) {
    #expect(shortNumber(row.value) == row.expected)
  }

  @Test(arguments: [
    (0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3_900, "1 h 5 min"), (3_601, "1 h"),
    (86_400, "1 d"),
    (97_200, "1 d 3 h"),
  ])
  func `writes a duration in its two largest units`(row: (seconds: UInt64, expected: String)) {
    #expect(duration(row.seconds) == row.expected)
  }

  @Test func `cuts text by scalars, because one character can have any number of them`() {
    #expect(shortened("abc", to: 3) == "abc")
    #expect(shortened("abcd", to: 3) == "abc…")
    let long = "a" + String(repeating: "\u{301}", count: 1_000)
    #expect(shortened(long, to: 10).unicodeScalars.count == 11)
    #expect(shortened("", to: 0) == "")
  }

  @Test func `writes times after those of 64-bit nanoseconds`() {
    #expect(Stamp(253_402_300_799).date == "31 Dec 9999")
    #expect(Stamp(253_402_300_799).machine == "9999-12-31T23:59:59.000Z")
  }

  @Test func `groups the digits of a number`() {
    #expect(
      [0, 999, 1_000, 1_234_567, -1_000].map { grouped($0) } == ["0", "999", "1,000", "1,234,567", "-1,000"])
  }
}
