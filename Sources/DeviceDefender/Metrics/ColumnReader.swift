import WireFormats

/// A place in a line of text, moved forward column by column. Columns are separated by blanks or tabs.
struct ColumnReader {
  private(set) var position = 0

  func isAtEnd(of line: Span<UInt8>) -> Bool { position >= line.count }

  mutating func skipBlanks(in line: Span<UInt8>) {
    while position < line.count, isBlank(line[position]) { position += 1 }
  }

  mutating func skipColumn(in line: Span<UInt8>) {
    while position < line.count, !isBlank(line[position]) { position += 1 }
    skipBlanks(in: line)
  }

  mutating func consume(_ byte: UInt8, in line: Span<UInt8>) -> Bool {
    guard position < line.count, line[position] == byte else { return false }
    position += 1
    return true
  }

  /// The text up to the next blank, which is skipped with those after it.
  mutating func column(of line: Span<UInt8>) -> String {
    var bytes: [UInt8] = []
    while position < line.count, !isBlank(line[position]) {
      bytes.append(line[position])
      position += 1
    }
    skipBlanks(in: line)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Consumes at least one blank, or finds the line at its end.
  mutating func endColumn(in line: Span<UInt8>) -> Bool {
    guard position < line.count else { return true }
    guard isBlank(line[position]) else { return false }
    skipBlanks(in: line)
    return true
  }

  /// The value of exactly `digits` hexadecimal digits, at most 8 of them.
  mutating func hexadecimal(digits: Int, in line: Span<UInt8>) -> UInt32? {
    guard line.count - position >= digits else { return nil }
    var value: UInt32 = 0
    for index in position..<(position + digits) {
      guard let digit = hexDigitValue(line[index]) else { return nil }
      value = value << 4 | UInt32(digit)
    }
    position += digits
    return value
  }

  /// The value of one or more decimal digits; nil where there is none, or where it exceeds 64 bits.
  mutating func decimal(in line: Span<UInt8>) -> UInt64? {
    let start = position
    var value: UInt64 = 0
    while position < line.count, case let digit = line[position] &- UInt8(ascii: "0"), digit < 10 {
      let (tens, tooWide) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) = tens.addingReportingOverflow(UInt64(digit))
      if tooWide || overflow { return nil }
      value = sum
      position += 1
    }
    return position == start ? nil : value
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

/// Whether `line` begins with `prefix`.
func begins(_ line: Span<UInt8>, with prefix: StaticString, at start: Int = 0) -> Bool {
  guard line.count - start >= prefix.utf8CodeUnitCount else { return false }
  return prefix.withUTF8Buffer { bytes in
    for index in bytes.indices where unsafe bytes[index] != line[start + index] { return false }
    return true
  }
}
