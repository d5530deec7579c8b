import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

struct `The host of a URL` {
  @Test(arguments: [
    ("IoT.Example.COM", "iot.example.com"), ("a_b.example", "a_b.example"), ("x", "x"),
    ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("1.2.3.4.example", "1.2.3.4.example"),
    ("[::1]", "[::1]"), ("[0:0:0:0:0:0:0:1]", "[::1]"), ("[::0001]", "[::1]"), ("[FE80::1]", "[fe80::1]"),
    ("[::ffff:7f00:1]", "[::ffff:127.0.0.1]"), ("[::127.0.0.1]", "[::127.0.0.1]"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
  ])
  func `has one spelling`(text: String, spelling: String) throws {
    #expect(try HostName(text).text == spelling)
  }

  @Test(
    arguments: [
      ("", .empty), ("[]", .noAddress6), ("[::1", .noAddress6), ("[1:2]", .noAddress6),
      ("[::1]x", .noAddress6),
      ("[127.0.0.1]", .noAddress6), ("[::1%25lo]", .zone), ("[fe80::1%lo]", .zone),
      ("127.1", .noAddress4), ("0x7f.1", .noAddress4), ("0x7F000001", .noAddress4),
      ("2130706433", .noAddress4),
      ("0177.0.0.1", .noAddress4), ("127.0.0.01", .noAddress4), ("127.0.0.256", .noAddress4),
      ("1.2.3.4.5", .noAddress4), ("example.1", .noAddress4), ("1.2.3.0x4", .noAddress4),
      ("a%6c.example", .character("%")), ("a b", .character(" ")), ("a@b", .character("@")),
      ("a\u{7F}", .character("\u{7F}")), ("a~b", .character("~")), ("::1", .character(":")),
      ("１２７.0.0.1", .notASCII), ("bücher.example", .notASCII),
      ("a..b", .label), (".a", .label), ("example.com.", .label), (".", .label), ("127.0.0.1.", .label),
    ] as [(String, HostNameError)])
  func `is rejected in a spelling that libcurl would change or can't use`(text: String, error: HostNameError)
  {
    #expect(throws: error) { try HostName(text) }
  }

  @Test(arguments: ["127.0.0.1", "localhost"])
  func `is sent as written`(host: String) throws {
    let server = try ScriptedServer([.keep(httpResponse())])
    defer { server.stop() }
    let name = try HostName(host).text
    let url = "http://\(name):\(server.port)/"
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: url), timeout: .seconds(20))
    #expect(server.received.first?.header("Host") == "\(name):\(server.port)")
  }
}
