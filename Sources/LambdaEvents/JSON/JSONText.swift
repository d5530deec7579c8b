import WireFormats

/// A JSON text and its structure.
final class JSONText: Sendable {
  let bytes: [UInt8]
  let nodes: [JSONNode]

  init(_ bytes: [UInt8]) throws(EventError) {
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw EventError(malformedAt: error.byteOffsets.lowerBound, "the text isn't UTF-8")
    }
    var scanner = JSONScanner(capacity: bytes.count / 16 + 4)
    try scanner.scan(bytes.span)
    nodes = scanner.nodes
    self.bytes = bytes
  }

  /// The contents of the string at `index`, which is a name or a value, without its quotes and with its escapes.
  func contents(at index: Int) -> ArraySlice<UInt8> {
    let node = nodes[index]
    return bytes[Int(node.start) + 1..<Int(node.end) - 1]
  }

  /// The string at `index` as UTF-8; nil if it has an unpaired surrogate.
  func unescaped(at index: Int) -> [UInt8]? {
    nodes[index].hasEscapes ? unescaping(contents(at: index)) : Array(contents(at: index))
  }

  /// The string at `index`; nil if it has an unpaired surrogate.
  func string(at index: Int) -> String? {
    guard nodes[index].hasEscapes else { return String(decoding: contents(at: index), as: UTF8.self) }
    return unescaping(contents(at: index)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The member name at `index`. An unpaired surrogate becomes U+FFFD.
  func name(at index: Int) -> String {
    string(at: index) ?? String(decoding: contents(at: index), as: UTF8.self)
  }

  /// Returns whether the member name at `index` is `name`, byte by byte.
  func hasName(_ name: String, at index: Int) -> Bool {
    guard !nodes[index].hasEscapes else {
      return string(at: index).map { $0.utf8.elementsEqual(name.utf8) } ?? false
    }
    let node = nodes[index]
    let (start, count) = (Int(node.start) + 1, Int(node.end) - Int(node.start) - 2)
    let wanted = name.utf8.span
    guard wanted.count == count else { return false }
    for offset in wanted.indices where bytes[start + offset] != wanted[offset] { return false }
    return true
  }
}

/// A value or a member name in a JSON text.
struct JSONNode {
  /// The place of the first byte, which is the quote of a string.
  let start: UInt32
  /// The place after the last byte.
  var end: UInt32
  /// The index of the node after this one and everything inside it.
  var next: UInt32
  let kind: JSON.Kind
  /// Whether a string has escapes.
  let hasEscapes: Bool
}

/// Decodes the contents of a string that ``JSONScanner`` accepted. Returns nil if a surrogate is unpaired.
private func unescaping(_ contents: ArraySlice<UInt8>) -> [UInt8]? {
  var decoded: [UInt8] = []
  decoded.reserveCapacity(contents.count)
  var rest = contents
  while let backslash = rest.firstIndex(of: UInt8(ascii: "\\")) {
    decoded.append(contentsOf: rest[..<backslash])
    rest = rest[(backslash + 2)...]
    let letter = contents[backslash + 1]
    switch letter {
    case UInt8(ascii: "b"): decoded.append(0x08)
    case UInt8(ascii: "f"): decoded.append(0x0C)
    case UInt8(ascii: "n"): decoded.append(0x0A)
    case UInt8(ascii: "r"): decoded.append(0x0D)
    case UInt8(ascii: "t"): decoded.append(0x09)
    case UInt8(ascii: "u"):
      guard let scalar = scalar(from: &rest) else { return nil }
      decoded.append(contentsOf: String(scalar).utf8)
    default: decoded.append(letter)
    }
  }
  decoded.append(contentsOf: rest)
  return decoded
}

/// Removes the four digits of a `\u` escape, and the low surrogate after a high one, from the start of `rest`.
private func scalar(from rest: inout ArraySlice<UInt8>) -> UnicodeScalar? {
  let high = codeUnit(rest.prefix(4))
  rest = rest.dropFirst(4)
  guard (0xD800..<0xDC00).contains(high) else { return UnicodeScalar(high) }
  guard rest.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else { return nil }
  let low = codeUnit(rest.dropFirst(2).prefix(4))
  guard (0xDC00..<0xE000).contains(low) else { return nil }
  rest = rest.dropFirst(6)
  return UnicodeScalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
}

private func codeUnit(_ digits: ArraySlice<UInt8>) -> UInt32 {
  digits.reduce(0) { $0 << 4 | UInt32(hexDigitValue($1) ?? 0) }
}
