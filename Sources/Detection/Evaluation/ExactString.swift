/// A string that is compared byte by byte. Swift's strings are equal if they are canonically equivalent: "é" is equal to "e" with a
/// combining acute accent.
struct ExactString: Hashable, Comparable, Sendable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (one: ExactString, other: ExactString) -> Bool {
    one.text.utf8.elementsEqual(other.text.utf8)
  }

  static func < (one: ExactString, other: ExactString) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    // Separates the string from what follows. UTF-8 never has this byte.
    hasher.combine(UInt8.max)
  }
}
