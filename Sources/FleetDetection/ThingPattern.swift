/// A pattern of thing names: `*` stands for any number of characters, `?` for one, and other characters for themselves.
package struct ThingPattern: Equatable, Sendable, CustomStringConvertible {
  private let pattern: [UInt8]

  /// Creates a pattern; nil if it is empty or contains a character that is neither a wildcard nor part of a thing's name.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    let isValid = bytes.allSatisfy { byte in
      byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || "_:-".utf8.contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
    guard isValid, (1...128).contains(bytes.count) else { return nil }
    pattern = bytes
  }

  /// The pattern of all things.
  static let all = ThingPattern(unchecked: [UInt8(ascii: "*")])

  private init(unchecked pattern: [UInt8]) { self.pattern = pattern }

  /// Returns whether the whole name matches. Takes at most as many steps as the product of both lengths.
  package func matches(_ name: String) -> Bool {
    let name = name.utf8.span
    var (place, position) = (0, 0)
    /// The last asterisk, and the first character that it doesn't stand for.
    var retry: (star: Int, position: Int)?
    while position < name.count {
      if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
        retry = (place, position)
        place += 1
      } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == name[position]
      {
        (place, position) = (place + 1, position + 1)
      } else if let (star, start) = retry {
        retry = (star, start + 1)
        (place, position) = (star + 1, start + 1)
      } else {
        return false
      }
    }
    return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
  }

  package var description: String { String(decoding: pattern, as: UTF8.self) }
}
