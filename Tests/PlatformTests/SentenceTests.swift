import Platform
import Testing

@Suite struct `A sentence made of an error` {
  @Test(arguments: [
    ("It failed", "It failed."), ("It failed.", "It failed."), ("Why?", "Why?"), ("Stop!", "Stop!"), ("", ""),
  ])
  func `ends text with one period`(text: String, expected: String) {
    #expect(sentence(text) == expected)
  }

  @Test(arguments: [
    ("It failed.", "It failed"), ("It failed", "It failed"), ("It failed...\r\n", "It failed"), (". .", ""),
    ("", ""), ("é.", "é"), ("3.5", "3.5"),
  ])
  func `removes the final period from text that is embedded in a sentence`(text: String, expected: String) {
    #expect(withoutFinalPeriod(text) == expected)
  }
}
