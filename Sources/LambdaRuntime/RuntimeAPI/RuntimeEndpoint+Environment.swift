package import Platform
import WireFormats

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
    let parts = URLParts(value)
    if parts.scheme != nil { throw refusal("it has a scheme") }
    if parts.target.utf8.first == UInt8(ascii: "/") { throw refusal("it has a path") }
    guard value.utf8.count <= 260, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
      parts.userInformation == nil, parts.target.isEmpty
    else {
      throw refusal("it must consist of at most 260 characters that are valid in a host name")
    }
    guard let givenPort = parts.port else { throw refusal("it has no port") }
    var host = parts.host.utf8[...]
    let portText = parts.authority.utf8.dropFirst(host.count + 1)
    // Without brackets, the first colon ends the host, and there is another one in the port.
    guard !portText.contains(UInt8(ascii: ":")) else { throw refusal("an IPv6 address must be in brackets") }
    guard case .number(let port) = givenPort else {
      throw refusal("the port is '\(Substring(portText))', not a number from 1 to 65535")
    }
    if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") { host = host.dropFirst().dropLast() }
    let brackets = [UInt8(ascii: "["), UInt8(ascii: "]")]
    guard !host.isEmpty, !host.contains(where: brackets.contains) else { throw refusal("it has no host") }
    self.host = String(Substring(host))
    self.port = port
    authority = value
  }
}
