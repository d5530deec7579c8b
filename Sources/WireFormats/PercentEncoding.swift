/// Percent-encodes all bytes except the unreserved characters of RFC 3986 (`A-Z a-z 0-9 - . _ ~`), with upper-case digits.
///
/// AWS calls this URI encoding (Signature Version 4, "Create a canonical request"). `keepingSlashes` also keeps `/`, for paths with
/// several segments.
package func percentEncoding(_ bytes: some Sequence<UInt8>, keepingSlashes: Bool = false) -> String {
  var encoded: [UInt8] = []
  appendPercentEncoding(Array(bytes)[...], keepingSlashes: keepingSlashes, to: &encoded)
  return String(decoding: encoded, as: UTF8.self)
}

/// Appends the result of ``percentEncoding(_:keepingSlashes:)``.
///
/// Not generic, because a generic function isn't specialised in another module, which made it 20 times slower.
package func appendPercentEncoding(
  _ bytes: ArraySlice<UInt8>, keepingSlashes: Bool = false, to encoded: inout [UInt8]
) {
  for byte in bytes {
    if isUnreserved(byte) || keepingSlashes && byte == UInt8(ascii: "/") {
      encoded.append(byte)
    } else {
      encoded.append(UInt8(ascii: "%"))
      encoded.append(upperCaseHexDigit(byte >> 4))
      encoded.append(upperCaseHexDigit(byte & 0x0F))
    }
  }
}

private func isUnreserved(_ byte: UInt8) -> Bool {
  // One bit for each ASCII character: - . 0-9, then A-Z _ a-z ~.
  let bits: UInt64 = byte < 64 ? 0x03FF_6000_0000_0000 : 0x47FF_FFFE_87FF_FFFE
  return byte < 128 && bits >> UInt64(byte & 63) & 1 == 1
}

private func upperCaseHexDigit(_ value: UInt8) -> UInt8 {
  value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
}

/// Decodes percent-encoded text. Returns nil if a `%` isn't followed by two hexadecimal digits.
package func percentDecoding(_ text: some Sequence<UInt8>) -> [UInt8]? {
  var decoded: [UInt8] = []
  var bytes = text.makeIterator()
  while let byte = bytes.next() {
    guard byte == UInt8(ascii: "%") else {
      decoded.append(byte)
      continue
    }
    guard
      let first = bytes.next().flatMap(hexDigitValue), let second = bytes.next().flatMap(hexDigitValue)
    else { return nil }
    decoded.append(first << 4 | second)
  }
  return decoded
}
