import Platform
import Testing

@testable import LambdaRuntime

struct RuntimeEndpointTests {
  @Test(arguments: [
    ("127.0.0.1:9001", "127.0.0.1", 9001), ("localhost:80", "localhost", 80), ("[::1]:65535", "::1", 65535),
    ("runtime.internal:1", "runtime.internal", 1),
  ])
  func `reads a host and a port`(value: String, host: String, port: UInt16) throws {
    let endpoint = try RuntimeEndpoint(parsing: value)
    #expect(endpoint.host == host)
    #expect(endpoint.port == port)
    #expect(endpoint.authority == value)
  }

  @Test(arguments: [
    ("", "it is empty"),
    ("127.0.0.1", "it has no port"),
    ("[::1]", "it has no port"),
    ("http://127.0.0.1:9001", "it has a scheme"),
    ("127.0.0.1:9001/", "it has a path"),
    ("127.0.0.1:", "the port is '', not a number from 1 to 65535"),
    ("127.0.0.1:0", "the port is '0', not a number from 1 to 65535"),
    ("127.0.0.1:65536", "the port is '65536', not a number from 1 to 65535"),
    ("127.0.0.1:+80", "the port is '+80', not a number from 1 to 65535"),
    ("127.0.0.1:9001 ", "it has a character that no host name has, or too many of them"),
    ("a\r\nX: y:80", "it has a character that no host name has, or too many of them"),
    ("user@host:80", "it has a character that no host name has, or too many of them"),
    ("höst:80", "it has a character that no host name has, or too many of them"),
    (
      String(repeating: "a", count: 300) + ":80",
      "it has a character that no host name has, or too many of them"
    ),
    (":9001", "it has no host"),
    ("[]:9001", "it has no host"),
    ("::1:9001", "an IPv6 address stands in brackets"),
  ])
  func `refuses what is no host and port, and says why`(value: String, reason: String) {
    #expect(throws: RuntimeAPIError.badEndpoint(value: value, reason: reason)) {
      try RuntimeEndpoint(parsing: value)
    }
  }

  @Test func `says what the variable is for where it is missing`() {
    #expect(throws: RuntimeAPIError.notUnderLambda) { try RuntimeEndpoint(Environment([:])) }
    #expect("\(RuntimeAPIError.notUnderLambda)".contains("127.0.0.1:9001"))
  }
}
