import CLinux
import COpenSSL
import Glibc

/// Information from a client's TLS handshake.
package struct TLSHandshake: Equatable, Sendable {
  /// The requested server name (SNI).
  package let serverName: String?
  package let applicationProtocol: String?
  /// The subject of the client's certificate.
  package let clientName: String?

  package init(serverName: String?, applicationProtocol: String?, clientName: String?) {
    self.serverName = serverName
    self.applicationProtocol = applicationProtocol
    self.clientName = clientName
  }
}

/// The TLS configuration of a server.
@safe
package final class TLSServerContext: @unchecked Sendable {
  fileprivate let context: OpaquePointer
  fileprivate let protocols: [UInt8]

  /// Creates a context that presents `identity`, requests a client certificate of `clientAuthority` if that isn't nil, and accepts
  /// the application protocols in `protocols`.
  package init(
    _ identity: ThrowawayAuthority.Identity, clientAuthority: String? = nil, requiresClient: Bool = true,
    protocols: [String] = []
  ) throws {
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
      throw ThrowawayAuthority.Failure(step: "SSL_CTX_new")
    }
    unsafe self.context = context
    self.protocols = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    guard
      unsafe SSL_CTX_use_certificate_file(context, identity.certificateFile, SSL_FILETYPE_PEM) == 1,
      unsafe SSL_CTX_use_PrivateKey_file(context, identity.keyFile, SSL_FILETYPE_PEM) == 1
    else { throw ThrowawayAuthority.Failure(step: "SSL_CTX_use_certificate_file") }
    if let clientAuthority {
      _ = unsafe SSL_CTX_load_verify_locations(context, clientAuthority, nil)
      let mode = SSL_VERIFY_PEER | (requiresClient ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0)
      unsafe SSL_CTX_set_verify(context, mode, nil)
      // Without a session ID context, a session with a client certificate can't be resumed and the handshake fails.
      _ = unsafe SSL_CTX_set_session_id_context(context, [1], 1)
    }
    if !protocols.isEmpty {
      unsafe SSL_CTX_set_alpn_select_cb(
        context, selectProtocol, Unmanaged.passUnretained(self).toOpaque())
    }
  }

  deinit {
    unsafe SSL_CTX_free(context)
  }
}

private func selectProtocol(
  _ ssl: OpaquePointer?, _ output: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
  _ outputSize: UnsafeMutablePointer<UInt8>?, _ offer: UnsafePointer<UInt8>?, _ offerSize: UInt32,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard
    let context = unsafe context, let offer = unsafe offer, let output = unsafe output,
    let outputSize = unsafe outputSize
  else { return SSL_TLSEXT_ERR_NOACK }
  let own = unsafe Unmanaged<TLSServerContext>.fromOpaque(context).takeUnretainedValue().protocols
  var position = 0
  while position < Int(offerSize) {
    let size = unsafe Int(offer[position])
    let name = unsafe [UInt8](UnsafeBufferPointer(start: offer + position, count: size + 1))
    if own.starts(with: name) {
      unsafe output.pointee = offer + position + 1
      unsafe outputSize.pointee = UInt8(size)
      return SSL_TLSEXT_ERR_OK
    }
    position += size + 1
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// An accepted connection, which is closed when its owner is destroyed.
@safe
final class ServerConnection {
  let descriptor: Int32
  let number: Int
  private(set) var negotiated: TLSHandshake?
  private var ssl: OpaquePointer?

  init(_ descriptor: Int32, number: Int) {
    self.descriptor = descriptor
    self.number = number
    // A client that stalls must not block the test.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
  }

  deinit {
    unsafe SSL_free(ssl)
    close(descriptor)
  }

  /// Performs the TLS handshake. Returns false if it fails.
  func handshake(_ context: TLSServerContext) -> Bool {
    unsafe ssl = SSL_new(context.context)
    guard unsafe SSL_set_fd(ssl, descriptor) == 1, unsafe SSL_accept(ssl) == 1 else { return false }
    var name: UnsafePointer<UInt8>?
    var size: UInt32 = 0
    unsafe SSL_get0_alpn_selected(ssl, &name, &size)
    let selected = unsafe String(decoding: UnsafeBufferPointer(start: name, count: Int(size)), as: UTF8.self)
    negotiated = TLSHandshake(
      serverName: unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map {
        unsafe String(cString: $0)
      },
      applicationProtocol: size == 0 ? nil : selected, clientName: clientName())
    return true
  }

  private func clientName() -> String? {
    guard let certificate = unsafe SSL_get1_peer_certificate(ssl) else { return nil }
    defer { unsafe X509_free(certificate) }
    var text = [CChar](repeating: 0, count: 256)
    let name = unsafe X509_get_subject_name(certificate)
    guard unsafe X509_NAME_get_text_by_NID(name, NID_commonName, &text, 256) > 0 else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Reads at most `limit` bytes. Returns nil at the end.
  func receive(limit: Int? = nil) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: max(1, limit ?? 65_536))
    let count =
      if unsafe ssl != nil {
        unsafe Int(SSL_read(ssl, &buffer, Int32(buffer.count)))
      } else {
        unsafe recv(descriptor, &buffer, buffer.count, 0)
      }
    return count > 0 ? Array(buffer[..<count]) : nil
  }

  /// Sends all of `bytes`. Returns false if the client closed the connection.
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        if unsafe ssl != nil { return unsafe Int(SSL_write(ssl, bytes.baseAddress, Int32(bytes.count))) }
        return unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Makes close(2) send a reset.
  func resetWhenClosed() {
    var setting = linger(l_onoff: 1, l_linger: 0)
    let size = socklen_t(MemoryLayout<linger>.size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, size)
  }
}
