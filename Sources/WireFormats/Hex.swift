private let lowerCaseDigits: [UInt8] = Array("0123456789abcdef".utf8)

/// Appends the two lower-case hexadecimal digits of `byte`.
package func appendHex(_ byte: UInt8, to bytes: inout [UInt8]) {
  bytes.append(lowerCaseDigits[Int(byte >> 4)])
  bytes.append(lowerCaseDigits[Int(byte & 0x0F)])
}

/// Returns `bytes` as lower-case hexadecimal digits.
package func hex(_ bytes: some Sequence<UInt8>) -> String {
  var digits: [UInt8] = []
  for byte in bytes { appendHex(byte, to: &digits) }
  return String(decoding: digits, as: UTF8.self)
}

/// Returns the value of a hexadecimal digit in upper or lower case; nil for any other character.
@inlinable @inline(__always)
package func hexDigitValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}
