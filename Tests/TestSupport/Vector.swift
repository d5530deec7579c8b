import Testing
package import WireFormats

/// A row of a vector file; its id is its name in test output.
package struct Vector: CustomTestStringConvertible, Sendable {
  package let row: JSONValue

  package static func all(_ file: String) -> [Vector] {
    // An unreadable file yields no rows; another test checks the number of rows.
    (try? fixtureLines(file))?.map(Vector.init) ?? []
  }

  package subscript(_ path: String...) -> JSONValue? {
    path.reduce(row) { value, name in value?[name] }
  }

  package func text(_ path: String...) throws -> String {
    try #require(path.reduce(row) { $0?[$1] }?.string, "\(path)")
  }

  /// Returns a list of string pairs as header fields.
  package func pairs(_ path: String...) throws -> [HeaderField] {
    let pairs = try #require(path.reduce(row) { $0?[$1] }?.array, "\(path)")
    return try pairs.map { pair in
      let texts = (pair.array ?? []).compactMap(\.string)
      try #require(texts.count == 2)
      return HeaderField(HeaderName(texts[0]), texts[1])
    }
  }

  package var testDescription: String { row["id"]?.string ?? "a row without an id" }
}
