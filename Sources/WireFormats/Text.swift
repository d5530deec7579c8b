extension StringProtocol {
  /// Whether the bytes of `part` occur in this text; those of an empty text occur in any.
  ///
  /// In place of the `contains` that takes a string: that one is in _StringProcessing and brings the parser of regular
  /// expressions along. Without it the release is 1.8 MB smaller; `lambda/package` compiles with the module shut off.
  package func includes(_ part: String) -> Bool {
    let part = part.utf8
    var rest = self.utf8[...]
    while rest.count >= part.count {
      if rest.starts(with: part) { return true }
      rest = rest.dropFirst()
    }
    return false
  }
}

/// `text` without the spaces, tabs and line ends around it.
package func trimmingBlanks(_ text: some StringProtocol) -> String {
  func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  let bytes = Array(text.utf8)
  guard let first = bytes.firstIndex(where: { !isBlank($0) }) else { return "" }
  let last = bytes.lastIndex { !isBlank($0) } ?? first
  return String(decoding: bytes[first...last], as: UTF8.self)
}

/// A letter of ASCII in lower case; any other byte as it is.
@inlinable @inline(__always)
package func lowerCased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

/// Whether a byte is a letter or a digit of ASCII.
@inlinable @inline(__always)
package func isLetterOrDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}
