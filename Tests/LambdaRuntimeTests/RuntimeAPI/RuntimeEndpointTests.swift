import Platform
import Testing

@testable import LambdaRuntime

@Suite struct `The endpoint of the Runtime API` {
  private static let notAHost = "it must consist of at most 260 characters that are valid in a host name"

  @Test(arguments: [
    ("127.0.0.1:9001", "127.0.0.1", 9001), ("localhost:80", "localhost", 80), ("[::1]:65535", "::1", 65535),
    ("runtime.internal:1", "runtime.internal", 1),
  ])
  func `has a host and a port`(value: String, host: String, port: UInt16) throws {
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
    ("127.0.0.1:9001 ", Self.notAHost), ("a\r\nX: y:80", Self.notAHost), ("user@host:80", Self.notAHost),
    ("höst:80", Self.notAHost),
    (String(repeating: "a", count: 300) + ":80", Self.notAHost),
    (":9001", "it has no host"),
    ("[]:9001", "it has no host"),
    ("::1:9001", "an IPv6 address must be in brackets"),
    ("[::1:9001", "an IPv6 address must be in brackets"),
    ("[::1]x:9001", "an IPv6 address must be in brackets"),
    ("a]:9001", "it has no host"), ("[a[]:9001", "it has no host"),
    ("a:1:2", "an IPv6 address must be in brackets"),
    ("://a:9001", "it has a scheme"), ("a:9001?b", Self.notAHost), ("a:9001#b", Self.notAHost),
    ("a:9001\0", Self.notAHost), ("a\u{7F}:9001", Self.notAHost), ("a:９００１", Self.notAHost),
    ("a:99999999999999999999", "the port is '99999999999999999999', not a number from 1 to 65535"),
  ])
  func `is rejected with the reason if it is invalid`(value: String, reason: String) {
    #expect(throws: RuntimeAPIError.badEndpoint(value: value, reason: reason)) {
      try RuntimeEndpoint(parsing: value)
    }
  }

  @Test func `is explained if the variable is missing`() {
    #expect(throws: RuntimeAPIError.notUnderLambda) { try RuntimeEndpoint(Environment([:])) }
  }
}
