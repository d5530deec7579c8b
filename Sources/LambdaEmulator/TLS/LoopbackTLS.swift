import COpenSSL

/// The TLS configuration of a server on the loopback interface: a new key and a self-signed certificate, which is its own authority.
///
/// The key exists only in the memory of this process. The certificate is valid for ten years, because an emulator may run for weeks.
@safe
final class LoopbackTLS: @unchecked Sendable {
  private let context: OpaquePointer
  /// The certificate in PEM, which a client must trust.
  let certificate: [UInt8]

  init() throws(CertificateError) {
    let key = try unsafe newKey()
    defer { unsafe EVP_PKEY_free(key) }
    var subject = CertificateSubject(
      name: "defender emulator",
      extensions: [
        (NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"), (NID_basic_constraints, "critical,CA:TRUE"),
      ])
    subject.validity = -86_400...3_650 * 86_400
    // A random serial number: two emulators have different certificates, and a client's cache must not confuse them.
    let serial = Int.random(in: 1...Int.max)
    let certificate = try unsafe newCertificate(subject, key, serial: serial, issuer: nil)
    defer { unsafe X509_free(certificate) }
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
      throw CertificateError(step: "SSL_CTX_new")
    }
    unsafe self.context = context
    self.certificate = try unsafe pem(certificate)
    guard
      unsafe SSL_CTX_use_certificate(context, certificate) == 1,
      unsafe SSL_CTX_use_PrivateKey(context, key) == 1,
      unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1
    else { throw CertificateError(step: "SSL_CTX_use_certificate") }
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// Returns the state of a new connection. The caller must free it.
  func newConnection() throws(CertificateError) -> OpaquePointer {
    guard let ssl = unsafe SSL_new(context) else { throw CertificateError(step: "SSL_new") }
    return unsafe ssl
  }
}

private func pem(_ certificate: OpaquePointer) throws(CertificateError) -> [UInt8] {
  guard let memory = unsafe BIO_new(BIO_s_mem()) else { throw CertificateError(step: "BIO_new") }
  defer { unsafe BIO_free(memory) }
  guard unsafe PEM_write_bio_X509(memory, certificate) == 1 else {
    throw CertificateError(step: "PEM_write_bio_X509")
  }
  var bytes = unsafe [UInt8](repeating: 0, count: BIO_ctrl_pending(memory))
  let count = unsafe BIO_read(memory, &bytes, Int32(clamping: bytes.count))
  return Array(bytes.prefix(Int(max(0, count))))
}
