import Glibc

// Functions that look at every byte of every message head. They use pointers so that memchr(3) or the vectoriser can process
// several bytes at a time: with bounds-checked indexing, they accounted for a third of the instructions of an invocation.

/// Returns the position of the first `byte` at or after `start`; nil if there is none.
package func firstPosition(of byte: UInt8, in bytes: [UInt8], from start: Int) -> Int? {
  unsafe bytes.withUnsafeBytes { all in
    guard let base = all.baseAddress, start >= 0, start < all.count,
      let found = unsafe memchr(base + start, Int32(byte), all.count - start)
    else { return nil }
    return unsafe UnsafeRawPointer(found) - base
  }
}

/// Returns the position after the first empty line, CRLF CRLF, at or after `start`; nil if there is none.
package func endOfHead(in bytes: [UInt8], from start: Int = 0) -> Int? {
  var start = start
  while let first = firstPosition(of: 0x0D, in: bytes, from: start), first + 3 < bytes.count {
    if bytes[first + 1] == 0x0A, bytes[first + 2] == 0x0D, bytes[first + 3] == 0x0A { return first + 4 }
    start = first + 1
  }
  return nil
}

/// Returns whether one of the bytes in `range` is a control character other than a tab, or `range` is out of bounds.
func holdControlCharacter(_ bytes: [UInt8], at range: Range<Int>) -> Bool {
  unsafe bytes.withUnsafeBufferPointer { all in
    guard range.lowerBound >= 0, range.upperBound <= all.count else { return true }
    var found: UInt8 = 0
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = unsafe all[index]
      found |= (byte < 0x20 ? 1 : 0) & (byte != 0x09 ? 1 : 0) | (byte == 0x7F ? 1 : 0)
      index += 1
    }
    return found != 0
  }
}

/// Returns whether the bytes in `range` equal `text`.
func areEqual(_ bytes: [UInt8], at range: Range<Int>, to text: StaticString) -> Bool {
  unsafe bytes.withUnsafeBytes { all in
    guard range.count == text.utf8CodeUnitCount, range.lowerBound >= 0, range.upperBound <= all.count,
      let base = all.baseAddress
    else { return false }
    return unsafe memcmp(base + range.lowerBound, text.utf8Start, range.count) == 0
  }
}
