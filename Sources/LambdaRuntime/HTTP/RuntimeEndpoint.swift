/// The host and port of the Runtime API.
package struct RuntimeEndpoint: Equatable, Sendable {
  /// A host name, an IPv4 address, or an IPv6 address without its brackets.
  package let host: String
  package let port: UInt16
  /// Host and port as written in the environment variable, for the `Host` header.
  package let authority: String
}
