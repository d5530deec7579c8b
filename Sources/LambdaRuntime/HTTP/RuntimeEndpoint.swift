package import Platform

/// The host and the port at which the Runtime API listens, as `AWS_LAMBDA_RUNTIME_API` names them.
package struct RuntimeEndpoint: Equatable, Sendable {
  package static let variable = "AWS_LAMBDA_RUNTIME_API"

  /// A host name, an IPv4 address, or an IPv6 address without its brackets.
  package let host: String
  package let port: UInt16
  /// What the variable says, for the Host header.
  package let authority: String

  package init(_ environment: Environment) throws(RuntimeAPIError) {
    guard let value = environment[Self.variable] else { throw .notUnderLambda }
    try self.init(parsing: value)
  }

  /// Reads `host:port`, with an IPv6 address in brackets.
  package init(parsing value: String) throws(RuntimeAPIError) {
    func refusal(_ reason: String) -> RuntimeAPIError { .badEndpoint(value: value, reason: reason) }
    if value.isEmpty { throw refusal("it is empty") }
    // `contains("://")` would bring the parser of regular expressions into the release: 1.3 MB.
    if let slash = value.firstIndex(of: "/") {
      let isScheme = value[..<slash].hasSuffix(":") && value[slash...].hasPrefix("//")
      throw refusal(isScheme ? "it has a scheme" : "it has a path")
    }
    let isPlain = value.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") }
    guard isPlain, value.utf8.count <= 260 else {
      throw refusal("it has a character that no host name has, or too many of them")
    }
    guard let colon = value.lastIndex(of: ":"), !value.hasSuffix("]") else { throw refusal("it has no port") }
    let portText = value[value.index(after: colon)...]
    guard portText.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = UInt16(portText), port > 0
    else { throw refusal("the port is '\(portText)', not a number from 1 to 65535") }
    var host = value[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw refusal("an IPv6 address stands in brackets")
    }
    guard !host.isEmpty, !host.contains("["), !host.contains("]") else { throw refusal("it has no host") }
    self.host = String(host)
    self.port = port
    authority = value
  }
}
