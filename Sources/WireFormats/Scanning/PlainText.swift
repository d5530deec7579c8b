/// Returns the position of the first quotation mark, backslash or control character in `bytes[start..<end]`; `end` if there is none.
///
/// Looks at eight bytes at once, and at 64 of a longer text: the events of a queue consist of long strings.
func endOfPlainText(_ bytes: [UInt8], from start: Int, to end: Int) -> Int {
  precondition(start >= 0 && start <= end && end <= bytes.count)
  let memory = unsafe bytes.span.bytes
  var position = start
  // Within the bytes, because `end` is.
  func word(at place: Int) -> UInt64 {
    UInt64(littleEndian: unsafe memory.unsafeLoadUnaligned(fromUncheckedByteOffset: place, as: UInt64.self))
  }
  while position &+ 16 <= end {
    let marks = specialBytes(word(at: position))
    if marks != 0 { return position &+ marks.trailingZeroBitCount / 8 }
    let next = specialBytes(word(at: position &+ 8))
    if next != 0 { return position &+ 8 &+ next.trailingZeroBitCount / 8 }
    position &+= 16
    while position &+ 64 <= end, !hasSpecialByte(memory, in64From: position) { position &+= 64 }
  }
  while position < end {
    let byte = bytes[position]
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
    position &+= 1
  }
  return position
}

/// Returns whether one of the 64 bytes from `start` on is a quotation mark, a backslash or a control character.
@inline(__always)
private func hasSpecialByte(_ memory: RawSpan, in64From start: Int) -> Bool {
  // No early exit, so that the compiler generates vector instructions.
  var found: UInt8 = 0
  for offset in 0..<64 {
    let byte = unsafe memory.unsafeLoad(fromUncheckedByteOffset: start &+ offset, as: UInt8.self)
    found |=
      (byte == UInt8(ascii: "\"") ? 1 : 0) | (byte == UInt8(ascii: "\\") ? 1 : 0) | (byte < 0x20 ? 1 : 0)
  }
  return found != 0
}

/// Sets the highest bit of the lowest byte that is a quotation mark, a backslash or a control character; 0 if none is. Bits above the
/// lowest one may be set by a borrow.
@inline(__always)
private func specialBytes(_ word: UInt64) -> UInt64 {
  let ones: UInt64 = 0x0101_0101_0101_0101
  let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
  let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
  let found =
    ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes) | ((word &- ones &* 0x20) & ~word)
  return found & (ones &* 0x80)
}
