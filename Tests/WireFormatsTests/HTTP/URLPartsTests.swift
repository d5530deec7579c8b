import Testing
import WireFormats

struct `The parts of a URL` {
  struct Row: Sendable, CustomTestStringConvertible {
    let text: String
    var scheme: String?
    var userInformation: String?
    var host = ""
    var port: URLParts.Port?
    var target = ""
    var testDescription: String { text.debugDescription }
  }

  @Test(arguments: [
    Row(text: ""), Row(text: "://", scheme: ""), Row(text: "h", host: "h"),
    Row(text: "h:80", host: "h", port: .number(80)), Row(text: ":80", port: .number(80)),
    Row(text: "HTTPS://H:65535/a?b#c", scheme: "HTTPS", host: "H", port: .number(65_535), target: "/a?b#c"),
    Row(text: "http://h?q=a://b", scheme: "http", host: "h", target: "?q=a://b"),
    Row(text: "h/a:b@c", host: "h", target: "/a:b@c"),
    Row(
      text: "http://u:p@w@h:1/", scheme: "http", userInformation: "u:p@w", host: "h", port: .number(1),
      target: "/"),
    Row(text: "u@", userInformation: "u"),
    Row(text: "[::1]", host: "[::1]"), Row(text: "[::1]:5", host: "[::1]", port: .number(5)),
    Row(text: "[::1]5", host: "[::1]", port: .malformed), Row(text: "[::1", host: "[", port: .malformed),
    Row(text: "h:", host: "h", port: .empty), Row(text: "[::1]:", host: "[::1]", port: .empty),
    Row(text: "h:0", host: "h", port: .malformed),
    Row(text: "h:65536", host: "h", port: .malformed), Row(text: "h:+8", host: "h", port: .malformed),
    Row(text: "h:8:9", host: "h", port: .malformed), Row(text: "h:\u{661}", host: "h", port: .malformed),
  ])
  func `are split as in RFC 3986`(row: Row) {
    let parts = URLParts(row.text)
    #expect(parts.scheme == row.scheme)
    #expect(parts.userInformation == row.userInformation)
    #expect(parts.host == row.host)
    #expect(parts.port == row.port)
    #expect(parts.target == row.target)
  }

  @Test(arguments: [
    "https://me:hunter2@h/", "https://me:hunter2@h/#a", "https://me:hunter2@h:x", "htps://me:hunter2@h/",
  ])
  func `stay out of an error if they hold a password`(url: String) throws {
    let error = try #require(throws: URLError.self) { try HTTPURL(url) }
    #expect(error == URLError(url: "(not shown)", reason: "it has a user name"))
  }

  @Test func `have a query that begins with any byte`() throws {
    #expect(try HTTPURL("https://h/a?\u{301}b").query == "\u{301}b")
    #expect(try HTTPURL("https://h/a?").query == "")
  }
}
