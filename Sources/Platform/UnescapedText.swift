import WireFormats

/// A text whose escapes are decoded: each is replaced by the byte that it stands for. Keeps the place of each byte in the original text.
///
/// The escapes are those of the formats in which servers return what they received: URLs (`%2B`), XML and HTML (`&#43;`), and JSON
/// (`\\u002b`).
struct UnescapedText {
  private(set) var bytes: [UInt8] = []
  /// The start and the end of each byte in the original text.
  private var starts: [Int] = []
  private var ends: [Int] = []

  /// Creates a text without escapes.
  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    starts = Array(bytes.indices)
    ends = starts.map { $0 + 1 }
  }

  /// Returns the place in the original text of the bytes in `range`.
  func place(of range: Range<Int>) -> Range<Int> {
    guard let first = range.first, range.upperBound <= bytes.count else { return 0..<0 }
    return starts[first]..<ends[range.upperBound - 1]
  }

  /// Returns this text with its escapes replaced once; nil if it has none.
  func unescaped() -> UnescapedText? {
    var result = UnescapedText([])
    var index = 0
    while index < bytes.count {
      let (byte, length) = escape(at: index) ?? (bytes[index], 1)
      result.bytes.append(byte)
      result.starts.append(starts[index])
      result.ends.append(ends[index + length - 1])
      index += length
    }
    return result.bytes.count == bytes.count ? nil : result
  }

  /// Returns the byte that the escape at `index` stands for, and the length of the escape; nil if there is none.
  private func escape(at index: Int) -> (UInt8, length: Int)? {
    // The longest one is `&#x0000002b;`.
    let text = bytes[index..<min(index + 12, bytes.count)]
    switch text.first {
    case UInt8(ascii: "%"): return number(in: text.dropFirst(1).prefix(2), base: 16).map { ($0, 3) }
    case UInt8(ascii: "\\"):
      guard let kind = text.dropFirst().first else { return nil }
      if kind == UInt8(ascii: "u") {
        return number(in: text.dropFirst(2).prefix(4), digits: 4, base: 16).map { ($0, 6) }
      }
      return #"/"\"#.utf8.contains(kind) ? (kind, 2) : nil
    case UInt8(ascii: "&"):
      guard let end = text.firstIndex(of: UInt8(ascii: ";")) else { return nil }
      return character(text[(index + 1)..<end]).map { ($0, end + 1 - index) }
    default: return nil
    }
  }

  /// Returns the character that an XML or HTML entity names, such as `amp`, `#43` or `#x2b`.
  private func character(_ name: ArraySlice<UInt8>) -> UInt8? {
    let digits = name.dropFirst()
    guard name.first == UInt8(ascii: "#") else { return named[String(decoding: name, as: UTF8.self)] }
    return digits.first.map { $0 | 0x20 } == UInt8(ascii: "x")
      ? number(in: digits.dropFirst(), digits: nil, base: 16) : number(in: digits, digits: nil, base: 10)
  }

  /// Parses a number below 256 that has exactly `digits` digits, or at least one digit if `digits` is nil.
  private func number(in text: ArraySlice<UInt8>, digits: Int? = 2, base: Int) -> UInt8? {
    guard !text.isEmpty, text.count == digits ?? text.count else { return nil }
    var value = 0
    for digit in text {
      guard let digit = hexDigitValue(digit), Int(digit) < base, value < 256 else { return nil }
      value = value * base + Int(digit)
    }
    return UInt8(exactly: value)
  }
}

private let named: [String: UInt8] = [
  "amp": UInt8(ascii: "&"), "lt": UInt8(ascii: "<"), "gt": UInt8(ascii: ">"), "quot": UInt8(ascii: "\""),
  "apos": UInt8(ascii: "'"), "plus": UInt8(ascii: "+"), "equals": UInt8(ascii: "="), "sol": UInt8(ascii: "/"),
]
