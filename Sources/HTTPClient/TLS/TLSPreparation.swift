import CCurl

/// What a TLS context needs beyond libcurl's options: the client identity and the application protocol.
///
/// libcurl would read the certificate and key from their files. The identity is kept in memory instead, so that a connection
/// can use the former pair while the files are being replaced.
final class TLSPreparation {
  private let negotiation: ProtocolNegotiation?
  private let identity: ClientIdentity?
  /// Why the certificate or the key can't be used; nil if nothing is wrong with them.
  private(set) var failure: HTTPError?
  private var hasSecureProxy = false

  /// Nil if a configuration has neither an identity nor an application protocol. Throws if the protocol is invalid.
  init?(_ configuration: ConnectionConfiguration) throws(HTTPError) {
    negotiation = try configuration.negotiation()
    identity = configuration.identity
    if negotiation == nil, identity == nil { return nil }
  }

  /// Forgets the failure of an earlier transfer. `hasSecureProxy` says whether the next one uses a proxy that itself uses TLS.
  func begin(hasSecureProxy: Bool) {
    failure = nil
    self.hasSecureProxy = hasSecureProxy
  }

  /// Prepares the context of a connection that `easy` opens.
  func apply(to context: OpaquePointer, of easy: UnsafeMutableRawPointer?) -> Bool {
    failure = nil
    // libcurl also calls this for a proxy's own TLS, and a proxy must not learn which device this is. The host's TLS begins only
    // after the proxy has accepted CONNECT. libcurl resets the code for each transfer.
    if hasSecureProxy {
      var code = 0
      guard unsafe ccurl_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &code) == CURLE_OK else { return false }
      guard (200..<300).contains(code) else { return true }
    }
    if let identity {
      do throws(ClientIdentityError) {
        let pair = try identity.keeper.pairForConnection()
        failure = unsafe pair.apply(to: context).map(unusable)
      } catch {
        failure = unusable("\(error)")
      }
      guard failure == nil else { return false }
    }
    return unsafe negotiation?.apply(to: context) ?? true
  }
}

private func unusable(_ reason: String) -> HTTPError {
  .ownCertificateRejected("our certificate or private key can't be used: \(reason)")
}

func prepareTLSContext(
  _ easy: UnsafeMutableRawPointer?, _ tls: UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer?
) -> CURLcode {
  guard let tls = unsafe tls, let context = unsafe context else { return CURLE_SSL_CONNECT_ERROR }
  let preparation = unsafe Unmanaged<TLSPreparation>.fromOpaque(context).takeUnretainedValue()
  if unsafe preparation.apply(to: OpaquePointer(tls), of: easy) { return CURLE_OK }
  return preparation.failure == nil ? CURLE_SSL_CONNECT_ERROR : CURLE_SSL_CERTPROBLEM
}
