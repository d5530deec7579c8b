private let alphabet: [UInt8] = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// Encodes `bytes` in Base64 with padding (RFC 4648, section 4).
package func base64(_ bytes: [UInt8]) -> String {
  var encoded: [UInt8] = []
  encoded.reserveCapacity((bytes.count + 2) / 3 * 4)
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    var bits = UInt32(0)
    for byte in group { bits = bits << 8 | UInt32(byte) }
    bits <<= UInt32(8 * (3 - group.count))
    for position in 0..<4 {
      let isPadding = position > group.count
      encoded.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * position) & 0x3F)])
    }
  }
  return String(decoding: encoded, as: UTF8.self)
}

/// Decodes Base64 text. Returns nil if it contains an invalid character or has the wrong padding or length.
package func base64Decoding(_ text: String) -> [UInt8]? { base64Decoding(text.utf8.span) }

/// Decodes the characters of Base64 text; nil if one is invalid, or if the padding or the length is wrong.
package func base64Decoding(_ digits: Span<UInt8>) -> [UInt8]? {
  let count = digits.count
  guard count % 4 == 0 else { return nil }
  guard count > 0 else { return [] }
  let padding = digits[count - 1] != UInt8(ascii: "=") ? 0 : digits[count - 2] != UInt8(ascii: "=") ? 1 : 2
  // Zeros cost less than an uninitialized array, which looks up generic metadata.
  var decoded = [UInt8](repeating: 0, count: count / 4 * 3)
  guard var start = unsafe decoded.withUnsafeMutableBytes({ unsafe decodeEights(digits, into: $0) }) else {
    return nil
  }
  while start < count {
    let used = start + 4 == count ? 4 - padding : 4
    guard let bits = group(of: digits, at: start, used: used) else { return nil }
    for index in 0..<(used - 1) {
      decoded[start / 4 * 3 + index] = UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * index))
    }
    start += 4
  }
  decoded.removeLast(padding)
  return decoded
}

/// Decodes eight digits at a time, and leaves the last ones. Returns how many were decoded; nil if one isn't a digit.
private func decodeEights(_ digits: Span<UInt8>, into output: UnsafeMutableRawBufferPointer) -> Int? {
  let memory = unsafe digits.bytes
  let tables = unsafe digitBits.span.bytes
  // The tables have a number for each byte at each of the four places in a group.
  func bits(_ word: UInt64, _ place: Int) -> UInt32 {
    let digit = Int(UInt8(truncatingIfNeeded: word &>> UInt64(8 &* place)))
    let index = (place & 3) &* 256 &+ digit
    return unsafe tables.unsafeLoad(fromUncheckedByteOffset: 4 &* index, as: UInt32.self)
  }
  var found: UInt32 = 0
  var start = 0
  // Eight bytes are written for eight digits, and the last two are overwritten; so four digits must follow.
  while start &+ 12 <= digits.count {
    let word = unsafe UInt64(
      littleEndian: memory.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: UInt64.self))
    let first = bits(word, 0) | bits(word, 1) | bits(word, 2) | bits(word, 3)
    let second = bits(word, 4) | bits(word, 5) | bits(word, 6) | bits(word, 7)
    found |= first | second
    let both = UInt64(first) << 40 | UInt64(second) << 16
    unsafe output.storeBytes(of: both.bigEndian, toByteOffset: start / 4 &* 3, as: UInt64.self)
    start &+= 8
  }
  return found > 0xFF_FFFF ? nil : start
}

/// The bits that each byte contributes to a group of 24 bits as its first digit, then as its second, third and fourth one. A byte that
/// isn't a digit has a bit above these.
private let digitBits: [UInt32] = (0..<4).flatMap { place in
  (0...255).map { base64DigitValue($0).map { UInt32($0) << UInt32(18 - 6 * place) } ?? 1 << 31 }
}

/// Returns the 24 bits that four characters stand for, of which `used` are digits; nil if one is invalid.
private func group(of digits: Span<UInt8>, at start: Int, used: Int) -> UInt32? {
  var bits: UInt32 = 0
  for index in 0..<used {
    guard let value = base64DigitValue(digits[start + index]) else { return nil }
    bits |= UInt32(value) << UInt32(18 - 6 * index)
  }
  return bits
}

private func base64DigitValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
  case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
  case UInt8(ascii: "+"): 62
  case UInt8(ascii: "/"): 63
  default: nil
  }
}
