import WireFormats

/// A JSON value with its place in the text, for messages about a profile.
struct ProfileNode {
  enum Content {
    case null
    case boolean(Bool)
    case number(ScannedNumber)
    case string(String)
    case array([ProfileNode])
    case object([(key: String, offset: Int, value: ProfileNode)])
  }

  let content: Content
  /// The number of bytes before the value.
  let offset: Int

  /// Parses a single JSON value. A byte order mark may precede it.
  init(parsing bytes: [UInt8]) throws(ScanError) {
    var scanner = JSONScanner(bytes, from: bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0)
    guard scanner.skipBlanks() else { throw .truncated }
    guard try scanner.kind() != .number else { throw scanner.malformed("expected an object or an array") }
    self = try ProfileNode(from: &scanner)
    if scanner.skipBlanks() { throw scanner.malformed("unexpected data after the value") }
  }

  private init(from scanner: inout JSONScanner) throws(ScanError) {
    let kind = try scanner.kind()
    offset = scanner.position
    switch kind {
    case .map: content = .object(try Self.members(&scanner))
    case .list:
      var elements: [ProfileNode] = []
      var list = try scanner.beginList()
      while try scanner.nextElement(of: &list) { elements.append(try ProfileNode(from: &scanner)) }
      content = .array(elements)
    case .text: content = .string(try scanner.string(scanner.text()))
    case .number: content = .number(try scanner.number())
    case .null:
      try scanner.null()
      content = .null
    case .other: content = .boolean(try scanner.boolean())
    }
  }

  private static func members(
    _ scanner: inout JSONScanner
  ) throws(ScanError) -> [(key: String, offset: Int, value: ProfileNode)] {
    var members: [(key: String, offset: Int, value: ProfileNode)] = []
    var keys: Set<String> = []
    var map = try scanner.beginMap()
    while let range = try scanner.nextKey(of: &map) {
      let key = try scanner.string(range)
      guard keys.insert(key).inserted else {
        throw .malformed(offset: range.start - 1, reason: "duplicate member '\(key)'")
      }
      members.append((key, range.start - 1, try ProfileNode(from: &scanner)))
    }
    return members
  }

  /// The kind of the value for messages, such as `a number`.
  var kind: String {
    switch content {
    case .null: "null"
    case .boolean: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}
