/// Why a request got no response. A response of any status isn't an error here.
///
/// The texts are libcurl's messages, which contain hosts and numbers, never headers or bodies.
package enum HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The request or the configuration is invalid; nothing was sent.
  case invalidRequest(String)
  /// The host name has no address, or no name server answered.
  case notResolved(String)
  /// The proxy's configuration doesn't name a usable proxy.
  case invalidProxy(String)
  /// The proxy's name has no address, or no name server answered.
  case proxyNotResolved(String)
  /// Nothing listens at the proxy's address, or the proxy establishes no connection.
  case proxyFailed(String)
  /// A file that TLS needs isn't a regular file, so it can't be read to its end.
  case unusableFile(String)
  /// Connections to the address aren't allowed without TLS; nothing was sent.
  case withoutTLS(String)
  case notConnected(String)
  /// The server's certificate can't be verified.
  case notTrusted(String)
  /// The server rejected our certificate, or TLS can't use our certificate or key.
  case ownCertificateRejected(String)
  /// The TLS handshake failed for another reason.
  case handshakeFailed(String)
  /// The proxy refused to connect; status 407 means that it requires other credentials.
  case proxyRefused(status: Int, String)
  /// The time limit expired, before or after the request was sent.
  case timedOut(Phase, String)
  /// The connection broke after the request was sent, or may have been sent.
  case connectionLost(String)
  /// The connection broke just after we presented our certificate: the server may have rejected it.
  case lostAfterCertificate(String)
  case emptyResponse(String)
  case malformedResponse(String)
  case responseTooLarge(Part, limit: Int)
  /// The process was asked to stop before the response arrived.
  case stopped
  case outOfMemory
  case other(code: Int, String)

  package enum Phase: Equatable, Sendable {
    case connecting, answering
  }

  package enum Part: String, Sendable {
    case head, body
  }

  package var description: String {
    switch self {
    case .invalidRequest(let reason): "the request can't be sent: \(reason)"
    case .notResolved(let reason): "can't resolve the host name: \(reason)"
    case .invalidProxy(let reason): "the proxy can't be used: \(reason)"
    case .proxyNotResolved(let reason): "can't resolve the proxy's name: \(reason)"
    case .proxyFailed(let reason): "no connection through the proxy \(reason)"
    case .unusableFile(let reason): reason
    case .withoutTLS(let reason): "nothing was sent: \(reason)"
    case .notConnected(let reason): "no connection: \(reason)"
    case .notTrusted(let reason): "TLS: the server's certificate can't be verified: \(reason)"
    case .ownCertificateRejected(let reason): "TLS: our certificate can't be used: \(reason)"
    case .handshakeFailed(let reason): "TLS: the handshake failed: \(reason)"
    case .proxyRefused(let status, let reason): "the proxy refused with status \(status): \(reason)"
    case .timedOut(.connecting, let reason): "no connection in time: \(reason)"
    case .timedOut(.answering, let reason): "no answer in time: \(reason)"
    case .connectionLost(let reason), .lostAfterCertificate(let reason):
      "the connection was lost: \(reason)"
    case .emptyResponse(let reason): "the answer was empty: \(reason)"
    case .malformedResponse(let reason): "the answer wasn't HTTP: \(reason)"
    case .responseTooLarge(let part, let limit):
      "the \(part.rawValue) of the answer is larger than \(limit) bytes"
    case .stopped: "the process was asked to stop before an answer arrived"
    case .outOfMemory: "out of memory"
    case .other(let code, let reason): "libcurl error \(code): \(reason)"
    }
  }

  /// Whether the same request may succeed a moment later: the network failed, not the request.
  package var isTransient: Bool {
    switch self {
    case .notResolved, .proxyNotResolved, .proxyFailed, .notConnected, .handshakeFailed, .timedOut,
      .connectionLost, .lostAfterCertificate, .emptyResponse, .malformedResponse:
      true
    case .invalidRequest, .invalidProxy, .withoutTLS, .unusableFile, .notTrusted, .ownCertificateRejected,
      .proxyRefused, .responseTooLarge, .stopped, .outOfMemory, .other:
      false
    }
  }
}
