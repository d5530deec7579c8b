package import Platform

/// How to connect, whom to trust and how large an answer may be.
package struct ConnectionConfiguration: Sendable {
  package var trust: TrustStore
  package var proxy: ProxySettings = .none
  package var identity: ClientIdentity?
  /// The protocol to ask for in the TLS handshake; nil asks for none.
  package var applicationProtocol: String?
  package var allowedAddresses: AddressRule = .any
  /// Where a request may go without TLS, if ``allowedAddresses`` says nothing else. A proxy is used for such a request
  /// only if that is anywhere.
  package var addressesWithoutTLS: AddressRule = .hostsWithoutTLS
  /// The part of a request's time that connecting may take, from the host's address on, TLS included.
  package var connectTimeout: Duration = .seconds(5)
  /// The file that says which name servers to ask; a change of it makes an exchange read it again.
  package var resolverFile = "/etc/resolv.conf"
  /// Bytes of status lines and header fields, those of interim responses included.
  package var responseHeadLimit = 65_536
  package var responseBodyLimit = 1_048_576
  /// Where to connect instead, as `host:port:host:port` (CURLOPT_CONNECT_TO); names and signatures stay.
  package var connectTo: [String] = []

  package init(trust: TrustStore) {
    self.trust = trust
  }

  /// Trusts the certificate authorities and uses the proxies that the environment names.
  ///
  /// `allowsPlainHTTP` allows requests without TLS to any address, rather than to this machine only.
  package init(_ environment: Environment, allowsPlainHTTP: Bool = false) {
    self.init(trust: TrustStore(environment))
    proxy = ProxySettings(environment)
    if allowsPlainHTTP { addressesWithoutTLS = .any }
  }

  /// Where a connection may go whose TLS is `isSecure`.
  func addressRule(secure isSecure: Bool) -> AddressRule {
    if case .any = allowedAddresses { return isSecure ? .any : addressesWithoutTLS }
    return allowedAddresses
  }

  /// The proxy that a connection whose TLS is `isSecure` is made through.
  ///
  /// None if the connection has to be to this machine: a proxy on this machine would pass the request on, without TLS.
  func proxy(secure isSecure: Bool) throws(HTTPError) -> Proxy {
    if !isSecure, case .hostsWithoutTLS = addressRule(secure: false) { return .none }
    return try proxy.proxy(secure: isSecure)
  }
}
