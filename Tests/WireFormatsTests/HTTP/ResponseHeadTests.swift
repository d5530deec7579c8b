import Testing
import WireFormats

struct `The head of an HTTP response` {
  @Test(arguments: ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.0 200 \r\n\r\n"])
  func `reads a head without fields`(text: String) throws {
    let head = try ResponseHead(parsing: Array(text.utf8))
    #expect(head.status == 200)
    #expect(head.framing == .untilClose)
    #expect(!head.keepsConnection)
  }

  @Test func `finds a field in any case, and trims its value`() throws {
    let head = try ResponseHead(
      parsing: Array(
        "HTTP/1.1 200 OK\r\nlambda-RUNTIME-aws-request-id:\t 1 2 \r\nX:\r\nx: second\r\n\r\n".utf8))
    #expect(head["Lambda-Runtime-Aws-Request-Id"] == "1 2")
    #expect(head["X"] == "")
    #expect(head.values("x") == ["", "second"])
    #expect(head["Lambda-Runtime-Aws-Request"] == nil)
  }

  @Test(arguments: [
    "", "\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: v\r\n\r\n",
    "HTTP/1.1 200 OK\r\nname\r\n\r\n", "HTTP/1.1 200 OK\r\nna me: v\r\n\r\n",
    "HTTP/1.1 200 OK\r\nname : v\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
    "HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
    "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nmore",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 129) + "\r\n",
  ])
  func `rejects a head that isn't HTTP`(text: String) {
    #expect(throws: ResponseHeadError.self) { try ResponseHead(parsing: Array(text.utf8)) }
  }

  @Test func `accepts 128 header fields, and no more`() throws {
    func head(_ count: Int) -> [UInt8] {
      Array(("HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: count) + "\r\n").utf8)
    }
    #expect(try ResponseHead(parsing: head(128)).values("a").count == 128)
    #expect(throws: ResponseHeadError.fields("more than 128 header fields")) {
      try ResponseHead(parsing: head(129))
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false), ("HTTP/1.1 204 None\r\n\r\n", true),
    ("HTTP/1.1 304 Same\r\n\r\n", true),
  ])
  func `knows whether a connection serves another request`(text: String, keeps: Bool) throws {
    #expect(try ResponseHead(parsing: Array(text.utf8)).keepsConnection == keeps)
  }
}
