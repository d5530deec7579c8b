import Platform
import TestSupport
import Testing

@Suite struct `A moment and a duration` {
  @Test(
    arguments: [
      (0, "19700101T000000Z"), (-1, "19691231T235959Z"), (951_782_399, "20000228T235959Z"),
      (951_782_400, "20000229T000000Z"), (1_709_164_800, "20240229T000000Z"),
      (1_440_938_160, "20150830T123600Z"),
      (4_107_542_400, "21000301T000000Z"), (-2_203_891_200, "19000301T000000Z"),
    ] as [(Int64, String)])
  func `returns the date of a second`(seconds: Int64, date: String) {
    #expect(CivilTime(WallTime(secondsSinceEpoch: seconds)).basicFormat == date)
  }

  @Test func `returns the date of a second beyond 64-bit nanoseconds`() {
    #expect(CivilTime(secondsSinceEpoch: 253_402_300_799).extendedFormat == "9999-12-31T23:59:59.000Z")
    #expect(CivilTime(secondsSinceEpoch: -12_219_292_801).extendedFormat == "1582-10-14T23:59:59.000Z")
    #expect(CivilTime(secondsSinceEpoch: .min).second == 52 && CivilTime(secondsSinceEpoch: .max).second == 7)
  }

  @Test func `returns milliseconds, also before the epoch`() {
    #expect(CivilTime(WallTime(millisecondsSinceEpoch: 1_234)).extendedFormat == "1970-01-01T00:00:01.234Z")
    #expect(CivilTime(WallTime(millisecondsSinceEpoch: -1)).extendedFormat == "1969-12-31T23:59:59.999Z")
  }

  @Test(
    arguments: [
      (.min, "1677-09-21T00:12:43.145Z"), (.min + 145_224_192, "1677-09-21T00:12:43.290Z"),
      (-1, "1969-12-31T23:59:59.999Z"), (-1_000_000_000, "1969-12-31T23:59:59.000Z"),
      (.max, "2262-04-11T23:47:16.854Z"),
    ] as [(Int64, String)])
  func `returns the date of every representable time`(nanoseconds: Int64, date: String) {
    #expect(CivilTime(WallTime(nanosecondsSinceEpoch: nanoseconds)).extendedFormat == date)
  }

  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
      ("1970-01-01T00:00:00.5Z", 500),
      ("1970-01-01T00:00:00.0019Z", 1), ("1970-01-01T01:00:00+01:00", 0),
      ("1970-01-01T00:00:00-00:30", 1_800_000),
      ("1970-01-01t00:00:01z", 1_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
      // Some sources write this for "never".
      ("9999-12-31T23:59:59Z", .max),
    ] as [(String, Int64)])
  func `reads ISO 8601`(text: String, milliseconds: Int64) {
    #expect(WallTime(iso8601: text) == WallTime(millisecondsSinceEpoch: milliseconds))
  }

  @Test(arguments: [
    "", "2024", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-01-00T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:00",
    "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00Zx",
    "20240101T000000Z", "2024-01-01T00:00:00+24:00", "+024-01-01T00:00:00Z",
  ])
  func `rejects text that isn't a time`(text: String) {
    #expect(WallTime(iso8601: text) == nil)
  }

  @Test func `parses or rejects damaged dates without a trap`() {
    let sound = Array("2024-02-29T12:34:56.789+01:30".utf8)
    var random = SeededRandom(seed: 2)
    for _ in 0..<20_000 {
      let text = String(decoding: damaged(sound, using: &random), as: UTF8.self)
      if let time = WallTime(iso8601: text) { #expect(time.secondsSinceEpoch / 86_400 < 110_000) }
    }
  }

  @Test(arguments: [Int64.min, -1, 0, 1, Int64.max])
  func `clamps times to the representable range`(milliseconds: Int64) {
    let time = WallTime(millisecondsSinceEpoch: milliseconds)
    #expect(time.advanced(by: .seconds(Int64.max)) >= time)
    #expect(time.advanced(by: .seconds(Int64.min)) <= time)
    #expect(time.duration(to: time) == .zero)
    #expect(WallTime(nanosecondsSinceEpoch: .min).duration(to: WallTime(nanosecondsSinceEpoch: .max)) > .zero)
  }

  @Test(
    arguments: [
      (.zero, 0), (.seconds(-5), 0), (.nanoseconds(1), 1), (.milliseconds(1), 1), (.seconds(2), 2_000),
      (.seconds(Int64.max), Int32.max),
    ] as [(Duration, Int32)])
  func `rounds a timeout up and bounds it`(duration: Duration, milliseconds: Int32) {
    #expect(duration.millisecondsForTimeout == milliseconds)
  }

  @Test func `sleeps until the given time`() {
    let time = SystemWaiter(shutdown: nil)
    let end = time.bootTime.advanced(by: .milliseconds(20))
    #expect(time.wait(until: end) == .onTime)
    #expect(time.bootTime >= end)
    #expect(time.wait(until: end) == .onTime)
  }
}
