package import Platform

/// How to connect, which authorities to trust, and how large a response may be.
package struct ConnectionConfiguration: Sendable {
  package var trust: TrustStore
  package var proxy: ProxySettings = .none
  package var identity: ClientIdentity?
  /// The protocol to request in the TLS handshake; nil requests none.
  package var applicationProtocol: String?
  package var allowedAddresses: AddressRule = .any
  /// The addresses that a request may go to without TLS, unless ``allowedAddresses`` restricts them. Such a request
  /// uses a proxy only if this allows every address.
  package var addressesWithoutTLS: AddressRule = .hostsWithoutTLS
  /// The part of a request's time that connecting may take, TLS included, once the host's address is known.
  package var connectTimeout: Duration = .seconds(5)
  /// The file that lists the name servers. If it changes, an exchange reads it again.
  package var resolverFile = "/etc/resolv.conf"
  /// The limit in bytes for status lines and header fields, including those of interim responses.
  package var responseHeadLimit = 65_536
  package var responseBodyLimit = 1_048_576
  /// Where to connect instead, as `host:port:host:port` (CURLOPT_CONNECT_TO); names and signatures don't change.
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

  /// Returns the addresses that a connection may go to; `isSecure` says whether it uses TLS.
  func addressRule(secure isSecure: Bool) -> AddressRule {
    if case .any = allowedAddresses { return isSecure ? .any : addressesWithoutTLS }
    return allowedAddresses
  }

  /// Returns the proxy for a connection; `isSecure` says whether it uses TLS.
  ///
  /// Returns none if the connection must be to this machine: a proxy on this machine would forward the request without
  /// TLS.
  func proxy(secure isSecure: Bool) throws(HTTPError) -> Proxy {
    if !isSecure, case .hostsWithoutTLS = addressRule(secure: false) { return .none }
    return try proxy.proxy(secure: isSecure)
  }
}
