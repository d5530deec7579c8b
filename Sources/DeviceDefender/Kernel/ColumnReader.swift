import WireFormats

/// A position in a line of text that advances column by column. Blanks and tabs separate columns.
struct ColumnReader {
  private(set) var position = 0

  func isAtEnd(of line: Span<UInt8>) -> Bool { position >= line.count }

  @inline(__always)
  mutating func skipBlanks(in line: Span<UInt8>) {
    var index = position
    while index < line.count {
      // In bounds: the index is less than the count and started at 0 or more.
      if unsafe !isBlank(line[unchecked: index]) { break }
      index &+= 1
    }
    position = index
  }

  /// Skips the several blanks with which the kernel pads a number.
  @inline(__always)
  private mutating func skipPadding(in line: Span<UInt8>) {
    // Eight bytes at a time: the lowest bit that differs is in the first byte that isn't a space.
    while line.count &- position >= 8 {
      let others = UInt64(littleEndian: line.number(at: position, as: UInt64.self)) ^ eightTimes(0x20)
      if others != 0 {
        position &+= others.trailingZeroBitCount / 8
        break
      }
      position &+= 8
    }
    skipBlanks(in: line)
  }

  @inline(__always)
  mutating func skipColumn(in line: Span<UInt8>) {
    var index = position
    // Eight bytes at a time: the lowest byte that matches is the first blank.
    while line.count &- index >= 8 {
      let word = UInt64(littleEndian: line.number(at: index, as: UInt64.self))
      let blanks = zeroBytes(word ^ eightTimes(0x20)) | zeroBytes(word ^ eightTimes(0x09))
      if blanks != 0 {
        position = index &+ blanks.trailingZeroBitCount / 8
        skipPadding(in: line)
        return
      }
      index &+= 8
    }
    while index < line.count {
      if unsafe isBlank(line[unchecked: index]) { break }
      index &+= 1
    }
    position = index
    skipBlanks(in: line)
  }

  /// Skips one or more decimal digits; returns false if there is none.
  @inline(__always)
  mutating func skipDigits(in line: Span<UInt8>) -> Bool {
    let start = position
    var index = start
    while index < line.count {
      if unsafe line[unchecked: index] &- UInt8(ascii: "0") > 9 { break }
      index &+= 1
    }
    position = index
    return index > start
  }

  @inline(__always)
  mutating func consume(_ byte: UInt8, in line: Span<UInt8>) -> Bool {
    guard position < line.count, line[position] == byte else { return false }
    position &+= 1
    return true
  }

  /// Returns the text up to the next blank, and skips it and the blanks after it.
  mutating func column(of line: Span<UInt8>) -> String {
    var bytes: [UInt8] = []
    while position < line.count, !isBlank(line[position]) {
      bytes.append(line[position])
      position += 1
    }
    skipBlanks(in: line)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Skips blanks; returns false if the next byte is neither a blank nor the end of the line.
  @inline(__always)
  mutating func endColumn(in line: Span<UInt8>) -> Bool {
    guard position < line.count else { return true }
    guard isBlank(line[position]) else { return false }
    skipBlanks(in: line)
    return true
  }

  /// Parses exactly eight hexadecimal digits, in upper or lower case; nil if there are fewer.
  @inline(__always)
  mutating func eightHexadecimalDigits(in line: Span<UInt8>) -> UInt32? {
    guard line.count - position >= 8 else { return nil }
    guard let value = hexadecimalValue(UInt64(littleEndian: line.number(at: position, as: UInt64.self)))
    else { return nil }
    position &+= 8
    return value
  }

  /// Parses exactly four hexadecimal digits, in upper or lower case; nil if there are fewer.
  @inline(__always)
  mutating func fourHexadecimalDigits(in line: Span<UInt8>) -> UInt16? {
    guard line.count - position >= 4 else { return nil }
    let digits = UInt64(UInt32(littleEndian: line.number(at: position, as: UInt32.self)))
    guard let value = hexadecimalValue(digits << 32 | 0x3030_3030) else { return nil }
    position &+= 4
    return UInt16(truncatingIfNeeded: value)
  }

  /// Parses exactly two hexadecimal digits, in upper or lower case; nil if there are fewer.
  @inline(__always)
  mutating func twoHexadecimalDigits(in line: Span<UInt8>) -> UInt8? {
    guard line.count - position >= 2, let high = hexDigitValue(line[position]),
      let low = hexDigitValue(line[position &+ 1])
    else { return nil }
    position &+= 2
    return high << 4 | low
  }

  /// Skips a socket's queues, timer and retransmissions; returns false if they don't have the kernel's usual
  /// widths.
  @inline(__always)
  mutating func skipQueuesAndTimer(in line: Span<UInt8>) -> Bool {
    // "00000000:00000000 00:00000000 00000000 "
    guard line.count &- position > 38 else { return false }
    let start = position
    guard
      line[start &+ 8] == UInt8(ascii: ":"), line[start &+ 17] == UInt8(ascii: " "),
      line[start &+ 20] == UInt8(ascii: ":"), line[start &+ 29] == UInt8(ascii: " "),
      line[start &+ 38] == UInt8(ascii: " ")
    else { return false }
    position = start &+ 39
    skipPadding(in: line)
    return true
  }

  /// Parses one or more decimal digits; nil if there is none or the value exceeds 64 bits.
  @inline(__always)
  mutating func decimal(in line: Span<UInt8>) -> UInt64? {
    let start = position
    var index = start
    var value: UInt64 = 0
    while index < line.count {
      let digit = unsafe line[unchecked: index] &- UInt8(ascii: "0")
      if digit > 9 { break }
      // 19 digits always fit in 64 bits; any further digit needs an overflow check.
      if index &- start < 19 {
        value = value &* 10 &+ UInt64(digit)
      } else {
        let (tens, tooWide) = value.multipliedReportingOverflow(by: 10)
        let (sum, overflow) = tens.addingReportingOverflow(UInt64(digit))
        if tooWide || overflow { return nil }
        value = sum
      }
      index &+= 1
    }
    position = index
    return position == start ? nil : value
  }

  @inline(__always)
  private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

/// Returns whether `line` has `prefix` at `start`.
func begins(_ line: Span<UInt8>, with prefix: StaticString, at start: Int = 0) -> Bool {
  guard line.count - start >= prefix.utf8CodeUnitCount else { return false }
  return prefix.withUTF8Buffer { bytes in
    for index in bytes.indices where unsafe bytes[index] != line[start + index] { return false }
    return true
  }
}

/// Returns whether the line is empty or has only blanks.
func isBlank(_ line: Span<UInt8>) -> Bool {
  var columns = ColumnReader()
  columns.skipBlanks(in: line)
  return columns.isAtEnd(of: line)
}

/// Returns the value of eight hexadecimal digits, the first of them in the lowest byte; nil if a byte isn't a
/// digit.
///
/// Converts all eight in one register, because files of sockets consist mostly of digits.
@inline(__always)
private func hexadecimalValue(_ digits: UInt64) -> UInt32? {
  // With all bytes below 128, adding 128 - limit sets a byte's highest bit exactly if the byte is at least
  // the limit, and never carries into the next byte.
  guard digits & eightTimes(0x80) == 0 else { return nil }
  let isDigit = (digits &+ eightTimes(0x80 - 0x30)) & ~(digits &+ eightTimes(0x80 - 0x3A))
  let lowerCase = digits | eightTimes(0x20)
  let isLetter = (lowerCase &+ eightTimes(0x80 - 0x61)) & ~(lowerCase &+ eightTimes(0x80 - 0x67))
  guard (isDigit | isLetter) & eightTimes(0x80) == eightTimes(0x80) else { return nil }
  // Bit 6 marks a letter, whose value is 9 more than its low four bits.
  let values = (digits & eightTimes(0x0F)) &+ (digits >> 6 & eightTimes(0x01)) &* 9
  let ordered = values.byteSwapped
  let pairs = (ordered | ordered >> 4) & 0x00FF_00FF_00FF_00FF
  let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF
  return UInt32(truncatingIfNeeded: fours | fours >> 16)
}

@inline(__always)
private func eightTimes(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }

/// Returns a word in which the lowest bit set is the highest bit of the first zero byte; 0 if no byte is
/// zero.
@inline(__always)
private func zeroBytes(_ word: UInt64) -> UInt64 { (word &- eightTimes(1)) & ~word & eightTimes(0x80) }
