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
  var isValid = true
  let decoded = unsafe [UInt8](unsafeUninitializedCapacity: count / 4 * 3) { output, size in
    let place = UnsafeMutableRawBufferPointer(output)
    var start = unsafe decodeEights(digits, into: place, &isValid)
    size = start / 4 * 3
    while start < count {
      let isLast = start + 4 == count
      let used = isLast ? 4 - padding : 4
      guard let bits = group(of: digits, at: start, used: used) else {
        isValid = false
        return
      }
      for index in 0..<(used - 1) {
        unsafe place[size] = UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * index))
        size += 1
      }
      start += 4
    }
  }
  return isValid ? decoded : nil
}

/// Decodes eight digits at a time, and leaves the last ones. Returns how many were decoded.
private func decodeEights(
  _ digits: Span<UInt8>, into output: UnsafeMutableRawBufferPointer, _ isValid: inout Bool
) -> Int {
  let memory = unsafe digits.bytes
  let values = unsafe digitValues.span.bytes
  var found: UInt8 = 0
  var start = 0
  // Eight bytes are written for eight digits, and the last two are overwritten; so four digits must follow.
  while start &+ 12 <= digits.count {
    let word = unsafe UInt64(
      littleEndian: memory.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: UInt64.self))
    var bits: UInt64 = 0
    for index in 0..<8 {
      let digit = UInt8(truncatingIfNeeded: word &>> UInt64(8 &* index))
      // The table has a value for each byte.
      let value = unsafe values.unsafeLoad(fromUncheckedByteOffset: Int(digit), as: UInt8.self)
      found |= value
      bits |= UInt64(value) << UInt64(58 &- 6 &* index)
    }
    unsafe output.storeBytes(of: bits.bigEndian, toByteOffset: start / 4 &* 3, as: UInt64.self)
    start &+= 8
  }
  if found >= 64 { isValid = false }
  return start
}

/// What each byte stands for as a digit: a number below 64, but 0xFF if it isn't one.
private let digitValues: [UInt8] = (0...255).map { base64DigitValue($0) ?? 0xFF }

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
