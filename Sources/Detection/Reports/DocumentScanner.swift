import WireFormats

/// An error in a document of reports or in a profile.
package enum ScanError: Error, Equatable, Sendable {
  /// The document ends too early. More input may complete it.
  case truncated
  case malformed(offset: Int, reason: String)
}

/// The byte order mark U+FEFF in UTF-8. Some editors put it before JSON, and RFC 8259, section 8.1, lets a reader ignore it.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

/// Reads a document item by item, without building a tree.
///
/// The caller requests the items in the order of the document. ``JSONScanner`` and ``CBORScanner`` implement it.
protocol DocumentScanner {
  /// The number of bytes read so far.
  var position: Int { get }

  /// Returns the kind of the next item, which stays unread.
  mutating func kind() throws(ScanError) -> ItemKind
  mutating func beginMap() throws(ScanError) -> Container
  /// Returns the next key of a map; nil at its end. The caller must read or skip the value.
  mutating func nextKey(of map: inout Container) throws(ScanError) -> TextRange?
  mutating func beginList() throws(ScanError) -> Container
  /// Returns whether the list has a next element, which the caller must read or skip.
  mutating func nextElement(of list: inout Container) throws(ScanError) -> Bool
  mutating func text() throws(ScanError) -> TextRange
  mutating func number() throws(ScanError) -> ScannedNumber
  /// Skips the next item with all its contents.
  mutating func skip() throws(ScanError)
  /// The bytes of the document, to which the ranges of texts refer.
  var bytes: [UInt8] { get }
}

enum ItemKind {
  case map, list, text, number, null, other
}

/// The progress within a map or a list.
struct Container {
  /// The number of items left; nil if the document doesn't state it.
  var remaining: UInt64?
  var isFirst = true
}

/// The position of a text in a document.
struct TextRange {
  let start: Int
  let end: Int
  var hasEscapes = false
}

enum ScannedNumber: Equatable {
  case integer(UInt64)
  /// A negative number, a fraction, or an integer beyond 64 bits.
  case real(Double)
}

extension DocumentScanner {
  /// The deepest nesting of maps and lists.
  static var maximumDepth: Int { 64 }

  func malformed(_ reason: String) -> ScanError { .malformed(offset: position, reason: reason) }

  /// Returns whether a text equals these characters.
  @inline(__always)
  func matches(_ text: TextRange, _ word: StaticString) -> Bool {
    if text.hasEscapes { return matchesUnescaped(text, word) }
    let count = word.utf8CodeUnitCount
    guard text.end - text.start == count else { return false }
    return word.withUTF8Buffer { characters in
      for index in 0..<count where unsafe characters[index] != bytes[text.start + index] { return false }
      return true
    }
  }

  /// Does the same for a text with escapes, which names in reports hardly ever have.
  @inline(never)
  private func matchesUnescaped(_ text: TextRange, _ word: StaticString) -> Bool {
    guard let unescaped = try? unescaped(text) else { return false }
    return unescaped.elementsEqual(word.description.utf8)
  }

  /// Returns whether a text is one of two names.
  @inline(__always)
  func matches(_ text: TextRange, _ long: StaticString, or short: StaticString) -> Bool {
    matches(text, long) || matches(text, short)
  }

  /// Returns the text as a string.
  func string(_ text: TextRange) throws(ScanError) -> String {
    let string =
      text.hasEscapes
      ? String(validating: try unescaped(text), as: UTF8.self)
      : String(validating: bytes[text.start..<text.end], as: UTF8.self)
    guard let string else {
      throw .malformed(offset: text.start, reason: "the text isn't UTF-8")
    }
    return string
  }

  /// Decodes the escapes of RFC 8259, section 7.
  private func unescaped(_ text: TextRange) throws(ScanError) -> [UInt8] {
    var result: [UInt8] = []
    var index = text.start
    while index < text.end {
      let byte = bytes[index]
      index += 1
      guard byte == UInt8(ascii: "\\"), index < text.end else {
        result.append(byte)
        continue
      }
      let escape = bytes[index]
      index += 1
      switch escape {
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"): result += String(try scalar(&index, text)).utf8
      default: result.append(escape)
      }
    }
    return result
  }

  private func scalar(_ index: inout Int, _ text: TextRange) throws(ScanError) -> Character {
    let unpaired = ScanError.malformed(offset: index, reason: "unpaired surrogate")
    var code = try codeUnit(&index, text)
    if (0xD800..<0xDC00).contains(code) {
      guard index + 1 < text.end, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
      else {
        throw unpaired
      }
      index += 2
      let low = try codeUnit(&index, text)
      guard (0xDC00..<0xE000).contains(low) else { throw unpaired }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = UnicodeScalar(code) else { throw unpaired }
    return Character(scalar)
  }

  private func codeUnit(_ index: inout Int, _ text: TextRange) throws(ScanError) -> UInt32 {
    var code = UInt32(0)
    for _ in 0..<4 {
      guard index < text.end, let digit = hexDigitValue(bytes[index]) else {
        throw .malformed(offset: index, reason: "expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      index += 1
    }
    return code
  }
}
