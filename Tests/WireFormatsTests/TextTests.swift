import Testing
import WireFormats

@Suite struct IncludesTests {
  @Test(arguments: [
    ("", ""), ("a", ""), ("a://b", "://"), ("://", "://"), ("x:/://", "://"), ("é", "é"), ("aab", "ab"),
  ])
  func `finds a part`(text: String, part: String) {
    #expect(text.includes(part))
  }

  @Test(arguments: [("", "a"), (":/", "://"), ("a:/b", "://"), ("ab", "ba"), ("e\u{301}", "é")])
  func `tells a part that isn't there, byte for byte`(text: String, part: String) {
    #expect(!text.includes(part))
  }
}
