import Testing
import WireFormats

struct `The name of a header field` {
  @Test(arguments: [
    ("Content-Type", "content-TYPE", true), ("", "", true), ("a", "A", true), ("a", "b", false),
    ("a", "aa", false), ("X-[", "X-{", false), ("X-@", "X-`", false), ("\u{E9}", "\u{C9}", false),
    ("\u{E9}", "e\u{301}", false),
  ])
  func `equals another one that differs in the case of ASCII letters only`(
    left: String, right: String, areEqual: Bool
  ) {
    #expect((HeaderName(left) == HeaderName(right)) == areEqual)
    #expect(Set([HeaderName(left), HeaderName(right)]).count == (areEqual ? 1 : 2))
  }

  @Test func `keeps the letters that it was written with`() {
    #expect("\(HeaderName("x-Amzn-RequestId"))" == "x-Amzn-RequestId")
    #expect(HeaderName("x-Amzn-RequestId").lowerCased == "x-amzn-requestid")
  }
}

struct `Header fields as received` {
  private func fields(_ lines: [String]) -> HeaderFields {
    var fields = HeaderFields()
    for line in lines {
      let bytes = Array(line.utf8)
      fields.append(line: bytes.span)
    }
    return fields
  }

  @Test func `are found in any case, the first of a name, without blanks around the value`() {
    let fields = fields(["X-One:\t 1 \r\n", "x-one: 2", "Empty:\r\n", "no colon", "url: a:b"])
    #expect(fields["X-ONE"] == "1")
    #expect(fields["empty"] == "")
    #expect(fields["URL"] == "a:b")
    #expect(fields["no colon"] == nil && fields["X-On"] == nil)
    #expect(
      fields.all == [
        HeaderField("X-One", "1"), HeaderField("x-one", "2"), HeaderField("Empty", ""),
        HeaderField("url", "a:b"),
      ])
  }

  @Test(arguments: [
    ("upgrade", true), ("keep-alive, Upgrade", true), ("Upgrade,x", true), ("upgrades", false), ("", false),
  ])
  func `list tokens in any case`(value: String, isListed: Bool) {
    #expect(
      fields(["Other: upgrade", "CONNECTION: \(value)"]).hasToken("upgrade", in: .connection) == isListed)
  }

  @Test func `are forgotten together`() {
    var fields = fields(["a: b"])
    fields.removeAll()
    #expect(fields["a"] == nil && fields.all.isEmpty)
  }
}
