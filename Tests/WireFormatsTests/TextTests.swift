import Testing
import WireFormats

struct `Text as bytes` {
  @Test(arguments: [
    ("", ""), ("a", ""), ("a://b", "://"), ("://", "://"), ("x:/://", "://"), ("é", "é"), ("aab", "ab"),
  ])
  func `finds a part`(text: String, part: String) {
    #expect(text.includes(part))
  }

  @Test(arguments: [("", "a"), (":/", "://"), ("a:/b", "://"), ("ab", "ba"), ("e\u{301}", "é")])
  func `finds a missing part missing, byte for byte`(text: String, part: String) {
    #expect(!text.includes(part))
  }

  @Test(arguments: [("", ""), (" \t\r\n", ""), ("a", "a"), ("\r\n a b\t", "a b"), ("\u{a0}a", "\u{a0}a")])
  func `trims blanks from both ends`(text: String, rest: String) {
    #expect(trimmingBlanks(text) == rest)
  }

  @Test func `recognizes ASCII letters and digits, and their lower case`() {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for byte in 0...UInt8.max {
      #expect(isLetterOrDigit(byte) == (letters + "0123456789").utf8.contains(byte))
      let character = String(UnicodeScalar(byte))
      #expect(
        lowerCased(byte) == (letters.utf8.contains(byte) ? Array(character.lowercased().utf8)[0] : byte))
    }
  }
}
