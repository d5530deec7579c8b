import DefenderAgent
import Testing

struct `A topic` {
  @Test(arguments: [
    ("", TopicError.empty),
    ("a\u{0}b", .nulCharacter),
    ("+", .wildcard(topic: "+", character: "+")),
    ("a/+/b", .wildcard(topic: "a/+/b", character: "+")),
    ("a/+\u{301}", .wildcard(topic: "a/+\u{301}", character: "+")),
    ("a/#", .wildcard(topic: "a/#", character: "#")),
    (".", .dotSegment(topic: ".")),
    ("..", .dotSegment(topic: "..")),
    (String(repeating: "x", count: 257), .tooLong(bytes: 257, limit: 256)),
    (String(repeating: "é", count: 129), .tooLong(bytes: 258, limit: 256)),
    ("$aws/rules/r/" + String(repeating: "x", count: 257), .tooLong(bytes: 257, limit: 256)),
    ("a/b/c/d/e/f/g/h/i", .tooDeep(topic: "a/b/c/d/e/f/g/h/i", slashes: 8, limit: 7)),
    ("////////", .tooDeep(topic: "////////", slashes: 8, limit: 7)),
    (
      "$aws/rules/r/1/2/3/4/5/6/7/8/9",
      .tooDeep(topic: "$aws/rules/r/1/2/3/4/5/6/7/8/9", slashes: 8, limit: 7)
    ),
  ])
  func `is rejected with the reason`(name: String, expected: TopicError) {
    #expect(throws: expected) { try Topic(validating: name) }
  }

  @Test func `is rejected with a different message for each reason`() {
    let errors: [TopicError] = [
      .empty, .nulCharacter, .wildcard(topic: "t", character: "+"), .dotSegment(topic: "t"),
      .tooLong(bytes: 257, limit: 256), .tooDeep(topic: "t", slashes: 8, limit: 7),
    ]
    #expect(Set(errors.map(\.description)).count == errors.count)
  }

  @Test(arguments: [
    ("a/b/c/d/e/f/g/h", "/topics/a%2Fb%2Fc%2Fd%2Fe%2Ff%2Fg%2Fh"),
    ("$aws/rules/r/1/2/3/4/5/6/7/8", "/topics/%24aws%2Frules%2Fr%2F1%2F2%2F3%2F4%2F5%2F6%2F7%2F8"),
    (
      "$aws/things/My Thing:1/defender/metrics/json",
      "/topics/%24aws%2Fthings%2FMy%20Thing%3A1%2Fdefender%2Fmetrics%2Fjson"
    ),
    ("...", "/topics/..."), ("a/../b", "/topics/a%2F..%2Fb"), ("100%", "/topics/100%25"),
    ("é", "/topics/%C3%A9"), ("e\u{301}", "/topics/e%CC%81"), ("/", "/topics/%2F"), ("~", "/topics/~"),
  ])
  func `is one segment of the path`(name: String, path: String) throws {
    #expect(try Topic(validating: name).path == path)
  }

  @Test func `may be 256 bytes long, a Basic Ingest prefix not counted`() throws {
    let longest = String(repeating: "x", count: 256)
    #expect(try Topic(validating: longest).name == longest)
    #expect(throws: Never.self) { try Topic(validating: "$aws/rules/some_rule/" + longest) }
  }
}
