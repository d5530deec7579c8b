import WireFormats

/// What this project needs of the answer to an operation, read without building a tree.
struct DynamoDBAnswer {
  /// The items that were read; nil if the answer has no list of them.
  private(set) var items: [DynamoDBItem]?
  /// The keys that weren't read, or the items that weren't written.
  private(set) var unprocessed: [DynamoDBItem] = []
  /// The key after which the next page begins; nil if there is none.
  private(set) var lastKey: DynamoDBItem?

  /// Reads an answer about `table`.
  init(parsing bytes: [UInt8], table: String) throws(ScanError) {
    var scanner = JSONScanner(bytes)
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if try scanner.kind() == .null {
        try scanner.skip()
      } else if scanner.matches(key, "Items") {
        items = try Self.list(&scanner)
      } else if scanner.matches(key, "Responses") {
        items = []
        try Self.tables(&scanner, table) { scanner throws(ScanError) in items = try Self.list(&scanner) }
      } else if scanner.matches(key, "UnprocessedKeys") {
        try Self.tables(&scanner, table) { scanner throws(ScanError) in try readKeys(&scanner) }
      } else if scanner.matches(key, "UnprocessedItems") {
        try Self.tables(&scanner, table) { scanner throws(ScanError) in try readWrites(&scanner) }
      } else if scanner.matches(key, "LastEvaluatedKey") {
        let last = try DynamoDBItem(&scanner)
        if !last.attributes.isEmpty { lastKey = last }
      } else {
        try scanner.skip()
      }
    }
    guard scanner.isAtEnd() else { throw scanner.malformed("unexpected data after the answer") }
  }

  /// Passes the value of the table's member to `read`, and skips those of other tables.
  private static func tables(
    _ scanner: inout JSONScanner, _ table: String, _ read: (inout JSONScanner) throws(ScanError) -> Void
  ) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if try scanner.string(key) == table { try read(&scanner) } else { try scanner.skip() }
    }
  }

  private static func list(_ scanner: inout JSONScanner) throws(ScanError) -> [DynamoDBItem] {
    var items: [DynamoDBItem] = []
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) { items.append(try DynamoDBItem(&scanner)) }
    return items
  }

  /// Reads `{"Keys":[…],…}`.
  private mutating func readKeys(_ scanner: inout JSONScanner) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "Keys") { unprocessed += try Self.list(&scanner) } else { try scanner.skip() }
    }
  }

  /// Reads `[{"PutRequest":{"Item":{…}}},…]`.
  private mutating func readWrites(_ scanner: inout JSONScanner) throws(ScanError) {
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) {
      var write = try scanner.beginMap()
      while let kind = try scanner.nextKey(of: &write) {
        guard scanner.matches(kind, "PutRequest") else {
          try scanner.skip()
          continue
        }
        var request = try scanner.beginMap()
        while let key = try scanner.nextKey(of: &request) {
          if scanner.matches(key, "Item") {
            unprocessed.append(try DynamoDBItem(&scanner))
          } else {
            try scanner.skip()
          }
        }
      }
    }
  }
}
