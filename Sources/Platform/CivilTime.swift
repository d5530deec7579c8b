/// A date and a time of day in UTC, in the proleptic Gregorian calendar.
///
/// Implemented here because the alternative is Foundation: 7 MB and a millisecond of start-up for one date per report.
package struct CivilTime: Equatable, Sendable {
  package var year: Int
  package var month: Int
  package var day: Int
  package var hour: Int
  package var minute: Int
  package var second: Int
  package var millisecond: Int

  /// Creates the time `seconds` after the epoch, which can be later than ``WallTime`` can represent.
  package init(secondsSinceEpoch seconds: Int64) {
    let rest = seconds % 86_400
    let dayNumber = seconds / 86_400 - (rest < 0 ? 1 : 0)
    let secondOfDay = Int(rest < 0 ? rest + 86_400 : rest)
    (year, month, day) = civilDate(daysSinceEpoch: Int(dayNumber))
    hour = secondOfDay / 3_600
    minute = secondOfDay / 60 % 60
    second = secondOfDay % 60
    millisecond = 0
  }

  package init(_ time: WallTime) {
    self.init(secondsSinceEpoch: time.secondsSinceEpoch)
    // Computed from the nanoseconds: at the earliest representable time, converting the seconds back to nanoseconds would
    // overflow.
    let nanosecond = time.nanosecondsSinceEpoch % 1_000_000_000
    millisecond = Int((nanosecond < 0 ? nanosecond + 1_000_000_000 : nanosecond) / 1_000_000)
  }

  /// The time in the form `20260102T030405Z`, for the date of a signature (AWS Signature Version 4, ISO 8601 basic
  /// format).
  package var basicFormat: String {
    "\(digits(year, 4))\(digits(month, 2))\(digits(day, 2))T\(digits(hour, 2))\(digits(minute, 2))\(digits(second, 2))Z"
  }

  /// The time in the form `2026-01-02T03:04:05.678Z` (ISO 8601 extended format, RFC 3339).
  package var extendedFormat: String {
    let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
    let time = "\(digits(hour, 2)):\(digits(minute, 2)):\(digits(second, 2)).\(digits(millisecond, 3))"
    return "\(date)T\(time)Z"
  }
}

extension WallTime {
  /// Creates the time that the fields describe, clamped to the latest representable one; nil if a field is out of range
  /// (such as 30 February).
  ///
  /// Years up to 9999 are accepted because some sources use one to mean "never".
  package init?(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, millisecond: Int = 0) {
    // Nanoseconds in 64 bits cover the years 1678 to 2262.
    guard
      (1_678...9_999).contains(year), (1...12).contains(month), (1...31).contains(day),
      (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second),
      (0...999).contains(millisecond)
    else { return nil }
    let days = daysSinceEpoch(year: year, month: month, day: day)
    guard civilDate(daysSinceEpoch: days) == (year, month, day) else { return nil }
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    self.init(millisecondsSinceEpoch: Int64(seconds) * 1_000 + Int64(millisecond))
  }

  /// Parses `2026-01-02T03:04:05Z`, with or without a fraction of a second, with `Z` or an offset such as `+00:00`.
  ///
  /// This is the profile of ISO 8601 in RFC 3339, in which AWS writes the expiration of credentials.
  package init?(iso8601 text: String) {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int? {
      guard range.upperBound <= bytes.count else { return nil }
      var value = 0
      for byte in bytes[range] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
      }
      return value
    }
    func has(_ character: Character, at index: Int) -> Bool {
      index < bytes.count && bytes[index] == character.asciiValue
    }
    guard
      let year = number(0..<4), has("-", at: 4), let month = number(5..<7), has("-", at: 7),
      let day = number(8..<10), has("T", at: 10) || has("t", at: 10) || has(" ", at: 10),
      let hour = number(11..<13), has(":", at: 13), let minute = number(14..<16), has(":", at: 16),
      let second = number(17..<19)
    else { return nil }
    var position = 19
    var millisecond = 0
    if has(".", at: position) {
      let start = position + 1
      position = start
      while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
      guard position > start else { return nil }
      for index in start..<(start + 3) {
        millisecond = millisecond * 10 + (index < position ? Int(bytes[index] - 0x30) : 0)
      }
    }
    var offsetMinutes = 0
    if has("Z", at: position) || has("z", at: position) {
      position += 1
    } else {
      guard
        has("+", at: position) || has("-", at: position),
        let offsetHour = number(position + 1..<position + 3), has(":", at: position + 3),
        let offsetMinute = number(position + 4..<position + 6), offsetHour < 24, offsetMinute < 60
      else { return nil }
      offsetMinutes = (has("-", at: position) ? -1 : 1) * (offsetHour * 60 + offsetMinute)
      position += 6
    }
    guard
      position == bytes.count,
      let local = WallTime(
        year: year, month: month, day: day, hour: hour, minute: minute, second: second,
        millisecond: millisecond)
    else { return nil }
    self = local.advanced(by: .seconds(-60 * offsetMinutes))
  }
}

// Howard Hinnant's algorithms "days_from_civil" and "civil_from_days". Years begin in March, so that the leap day is the
// last day of the year. The calendar repeats every 400 years (146,097 days).
private func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
  let shiftedYear = month <= 2 ? year - 1 : year
  let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
  let yearOfEra = shiftedYear - era * 400
  let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
  let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

private func civilDate(daysSinceEpoch days: Int) -> (year: Int, month: Int, day: Int) {
  let shifted = days + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let monthIndex = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
  let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

private func digits(_ value: Int, _ width: Int) -> String {
  let text = String(value)
  return text.utf8.count >= width ? text : String(repeating: "0", count: width - text.utf8.count) + text
}
