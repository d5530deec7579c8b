/// Reads CBOR (RFC 8949) item by item. Tags are ignored.
public struct CBORScanner: DocumentScanner {
  public let bytes: [UInt8]
  private let end: Int
  public private(set) var position: Int
  private var depth = 0

  /// Creates a scanner of the item that begins at `position`; the input ends at `end`.
  public init(_ bytes: [UInt8], from position: Int = 0, to end: Int? = nil) {
    self.bytes = bytes
    self.position = position
    self.end = min(end ?? bytes.count, bytes.count)
  }

  /// The head of an item (section 3). The argument is nil if the length is indefinite.
  private struct Head {
    let majorType: UInt8
    let information: UInt8
    let argument: UInt64?
  }

  private mutating func byte() throws(ScanError) -> UInt8 {
    guard position < end else { throw .truncated }
    defer { position += 1 }
    return bytes[position]
  }

  @inline(__always)
  private mutating func head() throws(ScanError) -> Head {
    // Most heads are a single byte, and most items have no tag.
    guard position < end else { throw .truncated }
    let initial = bytes[position]
    let information = initial & 0x1F
    guard information < 24, initial >> 5 != 6 else { return try longHead() }
    position += 1
    return Head(majorType: initial >> 5, information: information, argument: UInt64(information))
  }

  private mutating func longHead() throws(ScanError) -> Head {
    while true {
      let initial = try byte()
      let information = initial & 0x1F
      var argument: UInt64? = UInt64(information)
      switch information {
      case 0..<24: break
      case 24...27:
        let size = 1 << Int(information - 24)
        guard size <= end - position else { throw .truncated }
        var number: UInt64 = 0
        for index in position..<(position + size) { number = number << 8 | UInt64(bytes[index]) }
        position += size
        argument = number
      case 31: argument = nil
      default: throw malformed("the additional information \(information) is reserved")
      }
      // A tag says how to interpret the item after it.
      if initial >> 5 == 6 { continue }
      return Head(majorType: initial >> 5, information: information, argument: argument)
    }
  }

  public mutating func kind() throws(ScanError) -> ItemKind {
    let start = position
    let head = try head()
    position = start
    return switch head.majorType {
    case 0, 1: .number
    case 3: .text
    case 4: .list
    case 5: .map
    case 7 where (25...27).contains(head.information): .number
    case 7 where head.information == 22 || head.information == 23: .null
    default: .other
    }
  }

  public mutating func beginMap() throws(ScanError) -> Container { try open(5, "a map") }
  public mutating func beginList() throws(ScanError) -> Container { try open(4, "an array") }

  private mutating func open(_ majorType: UInt8, _ name: String) throws(ScanError) -> Container {
    let head = try head()
    guard head.majorType == majorType else { throw malformed("expected \(name)") }
    depth += 1
    guard depth <= Self.maximumDepth else { throw malformed("nested more than 64 levels deep") }
    return Container(remaining: head.argument)
  }

  private mutating func advance(_ container: inout Container) throws(ScanError) -> Bool {
    if let remaining = container.remaining {
      container.remaining = remaining == 0 ? 0 : remaining - 1
      if remaining == 0 { depth -= 1 }
      return remaining > 0
    }
    guard position < end else { throw .truncated }
    guard bytes[position] == 0xFF else { return true }
    position += 1
    depth -= 1
    return false
  }

  public mutating func nextKey(of map: inout Container) throws(ScanError) -> TextRange? {
    guard try advance(&map) else { return nil }
    return try text()
  }

  public mutating func nextElement(of list: inout Container) throws(ScanError) -> Bool { try advance(&list) }

  public mutating func text() throws(ScanError) -> TextRange {
    let head = try head()
    guard head.majorType == 3 else { throw malformed("expected a text") }
    guard let count = head.argument else { throw malformed("a text of indefinite length isn't supported") }
    guard count <= UInt64(end - position) else { throw .truncated }
    let start = position
    position += Int(count)
    return TextRange(start: start, end: position)
  }

  public func equals(_ text: TextRange, _ word: StaticString) -> Bool { isEqual(text, of: bytes, word) }

  public mutating func number() throws(ScanError) -> ScannedNumber {
    let head = try head()
    switch (head.majorType, head.information, head.argument) {
    case (0, _, let value?): return .integer(value)
    case (1, _, let value?): return .real(-1 - Double(value))
    case (7, 25, let bits?): return .real(Double(binary16: UInt16(truncatingIfNeeded: bits)))
    case (7, 26, let bits?): return .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
    case (7, 27, let bits?): return .real(Double(bitPattern: bits))
    default: throw malformed("expected a number")
    }
  }

  public mutating func boolean() throws(ScanError) -> Bool {
    let head = try head()
    guard head.majorType == 7, head.information == 20 || head.information == 21 else {
      throw malformed("expected a boolean")
    }
    return head.information == 21
  }

  public func isAtEnd() -> Bool { position == end }

  public mutating func skip() throws(ScanError) {
    let start = position
    let head = try head()
    switch head.majorType {
    case 0, 1:
      guard head.argument != nil else { throw malformed("a number of indefinite length") }
    case 2, 3: try skipString(head)
    case 4:
      position = start
      var list = try beginList()
      while try nextElement(of: &list) { try skip() }
    case 5:
      position = start
      var map = try beginMap()
      while try advance(&map) {
        try skip()
        try skip()
      }
    default:
      guard head.argument != nil else { throw malformed("a break outside of an indefinite-length item") }
    }
  }

  private mutating func skipString(_ head: Head) throws(ScanError) {
    guard let count = head.argument else {
      while true {
        guard position < end else { throw .truncated }
        if bytes[position] == 0xFF {
          position += 1
          return
        }
        let chunk = try self.head()
        guard chunk.majorType == head.majorType, chunk.argument != nil else {
          throw malformed("a chunk of a string isn't a string of definite length")
        }
        try skipString(chunk)
      }
    }
    guard count <= UInt64(end - position) else { throw .truncated }
    position += Int(count)
  }
}
