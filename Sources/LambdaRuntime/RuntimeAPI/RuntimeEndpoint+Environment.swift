package import Platform

extension RuntimeEndpoint {
  /// The name of the environment variable.
  package static let variable = "AWS_LAMBDA_RUNTIME_API"

  /// Parses the value of `AWS_LAMBDA_RUNTIME_API`.
  package init(_ environment: Environment) throws(RuntimeAPIError) {
    guard let value = environment[Self.variable] else { throw .notUnderLambda }
    try self.init(parsing: value)
  }

  /// Parses `host:port`. An IPv6 address must be in brackets.
  package init(parsing value: String) throws(RuntimeAPIError) {
    func refusal(_ reason: String) -> RuntimeAPIError { .badEndpoint(value: value, reason: reason) }
    if value.isEmpty { throw refusal("it is empty") }
    // This works on bytes: String.contains(String) would link the regular expression engine (1.4 MB), and Character needs the
    // Unicode tables, which take time to load at start.
    let bytes = value.utf8
    if let slash = bytes.firstIndex(of: UInt8(ascii: "/")) {
      throw refusal(bytes[..<slash].last == UInt8(ascii: ":") ? "it has a scheme" : "it has a path")
    }
    guard bytes.count <= 260, bytes.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") })
    else {
      throw refusal("it must consist of at most 260 characters that are valid in a host name")
    }
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), bytes.last != UInt8(ascii: "]") else {
      throw refusal("it has no port")
    }
    let portText = bytes[bytes.index(after: colon)...]
    guard portText.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = UInt16(String(Substring(portText))), port > 0
    else { throw refusal("the port is '\(Substring(portText))', not a number from 1 to 65535") }
    var host = bytes[..<colon]
    if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(UInt8(ascii: ":")) {
      throw refusal("an IPv6 address must be in brackets")
    }
    let brackets = [UInt8(ascii: "["), UInt8(ascii: "]")]
    guard !host.isEmpty, !host.contains(where: brackets.contains) else { throw refusal("it has no host") }
    self.host = String(Substring(host))
    self.port = port
    authority = value
  }
}
