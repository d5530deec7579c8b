/// Why a request got no answer. An answer of any status isn't an error here.
///
/// The texts are libcurl's own reasons, which name hosts and numbers, never headers or bodies.
package enum HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The request or the configuration can't be sent as it is; nothing was.
  case invalidRequest(String)
  /// The name of the host has no address, or nobody could tell.
  case notResolved(String)
  /// What names the proxy names none that could be asked.
  case invalidProxy(String)
  /// The name of the proxy has no address, or nobody could tell.
  case proxyNotResolved(String)
  /// Nobody listens at the proxy, or what does brings no connection about.
  case proxyFailed(String)
  /// A file that TLS needs isn't one that can be read to its end.
  case unusableFile(String)
  /// The connection would have been to an address that may not be reached without TLS; nothing was sent.
  case withoutTLS(String)
  case notConnected(String)
  /// The server's certificate can't be verified.
  case notTrusted(String)
  /// The server rejected our certificate, or TLS can't use our certificate or key.
  case ownCertificateRejected(String)
  /// The TLS handshake broke off for another reason.
  case handshakeFailed(String)
  /// The proxy refused to connect; 407 says that it wants other credentials.
  case proxyRefused(status: Int, String)
  /// Time was up, before the request went out or after.
  case timedOut(Phase, String)
  /// The connection broke after the request had, or may have, gone out.
  case connectionLost(String)
  /// The connection broke just after we presented our certificate: the server may have rejected it.
  case lostAfterCertificate(String)
  case emptyResponse(String)
  case malformedResponse(String)
  case responseTooLarge(Part, limit: Int)
  /// The process was asked to stop before the answer came.
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
    case .notResolved(let reason): "the host name wasn't resolved: \(reason)"
    case .invalidProxy(let reason): "the proxy can't be used: \(reason)"
    case .proxyNotResolved(let reason): "the proxy's name wasn't resolved: \(reason)"
    case .proxyFailed(let reason): "no connection through the proxy \(reason)"
    case .unusableFile(let reason): reason
    case .withoutTLS(let reason): "nothing was sent: \(reason)"
    case .notConnected(let reason): "no connection: \(reason)"
    case .notTrusted(let reason), .ownCertificateRejected(let reason):
      "TLS: the connection isn't trusted: \(reason)"
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
    case .stopped: "the process was asked to stop before an answer came"
    case .outOfMemory: "out of memory"
    case .other(let code, let reason): "libcurl error \(code): \(reason)"
    }
  }

  /// Whether the same request may succeed a moment later: the network failed, not what was asked.
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
