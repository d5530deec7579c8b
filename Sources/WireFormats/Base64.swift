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
package func base64Decoding(_ text: String) -> [UInt8]? {
  let digits = Array(text.utf8)
  guard digits.count % 4 == 0 else { return nil }
  let padding = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
  guard padding <= 2 else { return nil }
  var decoded: [UInt8] = []
  decoded.reserveCapacity(digits.count / 4 * 3)
  var bits = UInt32(0)
  for (index, digit) in digits.enumerated() {
    let isPadding = index >= digits.count - padding
    guard let value = isPadding ? 0 : base64DigitValue(digit) else { return nil }
    bits = bits << 6 | UInt32(value)
    if index % 4 == 3 {
      decoded.append(UInt8(truncatingIfNeeded: bits >> 16))
      decoded.append(UInt8(truncatingIfNeeded: bits >> 8))
      decoded.append(UInt8(truncatingIfNeeded: bits))
      bits = 0
    }
  }
  decoded.removeLast(padding)
  return decoded
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
