/// An error in a document of reports or in a profile.
public enum ScanError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The document ends too early. More input may complete it.
  case truncated
  case malformed(offset: Int, reason: String)

  /// The error as a fragment that follows "it is".
  public var description: String {
    switch self {
    case .truncated: "truncated"
    case .malformed(let offset, let reason): "malformed at byte \(offset): \(reason)"
    }
  }
}

/// The byte order mark U+FEFF in UTF-8. Some editors put it before JSON, and RFC 8259, section 8.1, lets a reader ignore it.
package let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

/// Reads a document item by item, without building a tree.
///
/// The caller requests the items in the order of the document. ``JSONScanner`` and ``CBORScanner`` implement it. They are public for the
/// same reason as ``DocumentWriter``.
public protocol DocumentScanner {
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
  mutating func boolean() throws(ScanError) -> Bool
  /// Returns whether a text equals these characters. Call ``matches(_:_:)``, which compares the lengths first.
  func equals(_ text: TextRange, _ word: StaticString) -> Bool
  /// Skips the next item with all its contents.
  mutating func skip() throws(ScanError)
  /// Returns whether nothing but blanks follows.
  mutating func isAtEnd() -> Bool
  /// The bytes of the document, to which the ranges of texts refer.
  var bytes: [UInt8] { get }
}

public enum ItemKind {
  case map, list, text, number, null
  /// A boolean, or an item that JSON doesn't have.
  case other
}

/// The progress within a map or a list.
public struct Container {
  /// The number of items left; nil if the document doesn't state it.
  var remaining: UInt64?
  var isFirst = true
}

/// The position of a text in a document.
public struct TextRange {
  public let start: Int
  public let end: Int
  public let hasEscapes: Bool

  init(start: Int, end: Int, hasEscapes: Bool = false) {
    self.start = start
    self.end = end
    self.hasEscapes = hasEscapes
  }
}

public enum ScannedNumber: Equatable {
  case integer(UInt64)
  /// A negative number, a fraction, or an integer beyond 64 bits.
  case real(Double)
}

extension DocumentScanner {
  /// The deepest nesting of maps and lists.
  static var maximumDepth: Int { 64 }

  public func malformed(_ reason: String) -> ScanError { .malformed(offset: position, reason: reason) }

  /// Returns whether a text equals these characters.
  @inlinable @inline(__always)
  public func matches(_ text: TextRange, _ word: StaticString) -> Bool {
    guard text.end - text.start == word.utf8CodeUnitCount || text.hasEscapes else { return false }
    return equals(text, word)
  }

  /// Returns whether a text is one of two names.
  @inlinable @inline(__always)
  public func matches(_ text: TextRange, _ long: StaticString, or short: StaticString) -> Bool {
    matches(text, long) || matches(text, short)
  }

  /// Returns the text as a string.
  @inlinable
  public func string(_ text: TextRange) throws(ScanError) -> String {
    let string =
      text.hasEscapes
      ? String(utf8: try unescaped(text)) : String(utf8: bytes.span.extracting(text.start..<text.end))
    guard let string else {
      throw .malformed(offset: text.start, reason: "the text isn't UTF-8")
    }
    return string
  }

  /// Returns the bytes that a text in Base64 stands for; nil if it isn't Base64.
  public func base64(_ text: TextRange) throws(ScanError) -> [UInt8]? {
    guard text.hasEscapes else { return base64Decoding(bytes.span.extracting(text.start..<text.end)) }
    let unescaped = try unescaped(text)
    return base64Decoding(unescaped.span)
  }

  /// Returns the bytes of a text without its escapes (RFC 8259, section 7). They may not be UTF-8.
  public func unescaped(_ text: TextRange) throws(ScanError) -> [UInt8] {
    let bytes = bytes
    var result = ByteBuffer(capacity: text.end - text.start)
    var index = text.start
    while true {
      let run = index
      index = endOfPlainText(bytes, from: run, to: text.end)
      result.append(bytes.span.extracting(run..<index))
      guard index + 1 < text.end else { return result.bytes }
      let escape = bytes[index + 1]
      index += 2
      switch escape {
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"): for byte in String(try scalar(&index, text)).utf8 { result.append(byte) }
      default: result.append(escape)
      }
    }
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

/// Returns whether a text of a document equals these characters.
@inline(__always)
func isEqual(_ text: TextRange, of bytes: [UInt8], _ word: StaticString) -> Bool {
  let count = word.utf8CodeUnitCount
  guard text.start >= 0, text.end <= bytes.count, text.end - text.start == count else { return false }
  let left = unsafe bytes.span.bytes
  let right = unsafe UnsafeRawPointer(word.utf8Start)
  /// Whether the parts at `offset` are equal, which must be within the word.
  func isEqual<Part: FixedWidthInteger & BitwiseCopyable>(at offset: Int, _: Part.Type) -> Bool {
    unsafe left.unsafeLoadUnaligned(fromUncheckedByteOffset: text.start &+ offset, as: Part.self)
      == right.loadUnaligned(fromByteOffset: offset, as: Part.self)
  }
  // The last part overlaps the one before it.
  if count >= 8 {
    var offset = 0
    while offset &+ 8 < count {
      if !isEqual(at: offset, UInt64.self) { return false }
      offset &+= 8
    }
    return isEqual(at: count &- 8, UInt64.self)
  }
  if count >= 4 { return isEqual(at: 0, UInt32.self) && isEqual(at: count &- 4, UInt32.self) }
  for offset in 0..<count where !isEqual(at: offset, UInt8.self) { return false }
  return true
}
