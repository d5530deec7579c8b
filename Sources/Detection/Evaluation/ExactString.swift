/// A string that is compared byte by byte. Swift's strings are equal if they are canonically equivalent: "é" is equal to "e" with a
/// combining acute accent.
struct ExactString: Hashable, Comparable, Sendable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (one: ExactString, other: ExactString) -> Bool {
    one.text.utf8.count == other.text.utf8.count && one.text.utf8.elementsEqual(other.text.utf8)
  }

  static func < (one: ExactString, other: ExactString) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }

  /// Equivalent strings have the same hash; they are rare. Hashing byte by byte took much longer.
  func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
