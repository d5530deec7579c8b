import CCurl
import WireFormats

extension HTTPError {
  /// Translates a libcurl code (libcurl-errors(3)) and its message.
  ///
  /// `wasSent` says whether any part of the request had been sent.
  init(code: CURLcode, reason: String, wasSent: Bool, trust: TrustStore) {
    // With TLS 1.3 the peer rejects our certificate after the handshake, so libcurl reports it under several codes.
    if isAlertAboutCertificate(reason) {
      self = .ownCertificateRejected("the server rejected our certificate: \(reason)")
      return
    }
    switch code {
    case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_LOGIN_DENIED:
      self = .invalidRequest(reason)
    case CURLE_UNSUPPORTED_PROTOCOL:
      // libcurl also reports this code if a response doesn't begin with a status line ("HTTP/0.9").
      self = wasSent ? .malformedResponse(reason) : .invalidRequest(reason)
    case CURLE_COULDNT_RESOLVE_PROXY where reason.includes("proxy syntax"),
      CURLE_COULDNT_CONNECT where reason.includes("proxy scheme"):
      self = .invalidProxy(reason)
    case CURLE_COULDNT_RESOLVE_HOST:
      self = .notResolved(reason)
    case CURLE_COULDNT_RESOLVE_PROXY:
      self = .proxyNotResolved(reason)
    case CURLE_COULDNT_CONNECT:
      self = .notConnected(reason)
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR:
      self = .notTrusted(reason)
    case CURLE_SSL_CACERT_BADFILE:
      self = .notTrusted("\(reason). The trusted authorities are in \(trust.origin)")
    case CURLE_SSL_CERTPROBLEM:
      self = .ownCertificateRejected("our certificate or private key can't be used: \(reason)")
    case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER:
      self = .handshakeFailed(reason)
    case CURLE_OPERATION_TIMEDOUT:
      self = .timedOut(wasSent ? .answering : .connecting, reason)
    case CURLE_GOT_NOTHING:
      self = .emptyResponse(reason)
    case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE:
      self = .connectionLost(reason)
    case CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING:
      self = .malformedResponse(reason)
    case CURLE_OUT_OF_MEMORY:
      // libcurl also reports this code for a header line of more than CURL_MAX_HTTP_HEADER bytes.
      self = wasSent ? .responseTooLarge(.head, limit: Int(CURL_MAX_HTTP_HEADER)) : .outOfMemory
    default:
      self = .other(code: Int(code.rawValue), reason)
    }
  }
}

extension HTTPError {
  /// The same error, noting for a lost connection that the server may have rejected our certificate.
  var withCertificateInDoubt: HTTPError {
    switch self {
    case .connectionLost(let reason), .emptyResponse(let reason):
      .lostAfterCertificate(
        "it broke just after our certificate was sent, so the server may have rejected it: \(reason)")
    default: self
    }
  }
}

extension HTTPError {
  /// Whether the name of the host or of the proxy couldn't be resolved.
  var isAboutName: Bool {
    switch self {
    case .notResolved, .proxyNotResolved: true
    default: false
    }
  }

  /// Whether the proxy couldn't be used, so that nothing reached the server.
  package var isOfProxy: Bool {
    switch self {
    case .invalidProxy, .proxyNotResolved, .proxyFailed, .proxyRefused: true
    default: false
    }
  }

  /// Whether the server rejected our certificate, or may have done so, or TLS can't use it.
  package var isAboutOurCertificate: Bool {
    switch self {
    case .ownCertificateRejected, .lostAfterCertificate: true
    default: false
    }
  }

  /// Whether the server's certificate couldn't be verified: other certificate authorities may vouch for it.
  var isAboutTheirCertificate: Bool {
    guard case .notTrusted = self else { return false }
    return true
  }
}

/// Returns whether libcurl's message reports a TLS alert (RFC 8446, section 6.2) about our certificate.
private func isAlertAboutCertificate(_ reason: String) -> Bool {
  reason.includes(" alert ")
    && ["certificate", "unknown ca", "access denied"].contains { reason.includes($0) }
}
