extension String {
  /// Creates a string from bytes; nil if they aren't UTF-8.
  ///
  /// Faster than `String(validating:as:)`, which looks up generic metadata for each call.
  @usableFromInline
  package init?(utf8 bytes: Span<UInt8>) {
    do {
      self.init(copying: try UTF8Span(validating: bytes))
    } catch {
      return nil
    }
  }

  /// Creates a string from bytes; nil if they aren't UTF-8.
  @usableFromInline
  package init?(utf8 bytes: [UInt8]) { self.init(utf8: bytes.span) }
}

extension StringProtocol {
  /// Returns whether this text contains the bytes of `part`. Every text contains the empty text.
  ///
  /// Use it instead of `contains`, which is in _StringProcessing and links the regular expression parser. Without that the release is
  /// 1.8 MB smaller. `lambda/package` disables the module.
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

/// Returns `text` without leading and trailing spaces, tabs and line ends.
package func trimmingBlanks(_ text: some StringProtocol) -> String {
  func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  let bytes = Array(text.utf8)
  guard let first = bytes.firstIndex(where: { !isBlank($0) }) else { return "" }
  let last = bytes.lastIndex { !isBlank($0) } ?? first
  return String(decoding: bytes[first...last], as: UTF8.self)
}

/// Converts an ASCII letter to lower case. Returns any other byte unchanged.
@inlinable @inline(__always)
package func lowerCased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

/// Returns whether a byte is an ASCII letter or digit.
@inlinable @inline(__always)
package func isLetterOrDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// Returns `text`. If it has more than `limit` bytes, it is truncated, with its original length appended.
package func bounded(_ text: String, to limit: Int) -> String {
  let length = text.utf8.count
  guard length > limit else { return text }
  return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "… (\(length) bytes)"
}
