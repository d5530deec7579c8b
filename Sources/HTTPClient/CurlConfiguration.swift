package import Platform

extension CurlExchange {
  /// How an exchange connects, whom it trusts and how much it takes.
  package struct Configuration: Sendable {
    package var trust: TrustStore
    package var proxy: ProxySettings = .none
    package var identity: ClientIdentity?
    /// The protocol to ask for in the TLS handshake; nil asks for none.
    package var applicationProtocol: String?
    package var allowedAddresses: AddressRule = .any
    /// The part of a request's time that connecting may take, TLS included.
    package var connectTimeout: Duration = .seconds(5)
    /// Bytes of status lines and header fields, those of interim responses included.
    package var responseHeadLimit = 65_536
    package var responseBodyLimit = 1_048_576
    /// Where to connect instead, as `host:port:host:port` (CURLOPT_CONNECT_TO); names and signatures stay.
    package var connectTo: [String] = []

    package init(trust: TrustStore) {
      self.trust = trust
    }

    /// What the environment asks for: its certificate authorities and its proxies.
    package init(_ environment: Environment) {
      self.init(trust: TrustStore(environment))
      proxy = ProxySettings(environment)
    }
  }
}
