import COpenSSL

/// The application protocol that we request in the TLS handshake (ALPN, RFC 7301).
///
/// libcurl supports only HTTP's protocols. On port 443, `x-amzn-http-ca` informs AWS IoT that we use a client
/// certificate.
final class ProtocolNegotiation {
  private let list: [UInt8]

  /// Nil if `name` is empty, or longer than a list can hold.
  init?(_ name: String) {
    guard let size = UInt8(exactly: name.utf8.count), size > 0 else { return nil }
    list = [size] + Array(name.utf8)
  }

  func apply(to context: OpaquePointer) -> Bool {
    // Unlike most OpenSSL functions, this one returns 0 for success.
    unsafe SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) == 0
  }
}
