import COpenSSL
package import Platform

/// A certificate, the rest of its chain, and the private key that belongs to it, in memory.
///
/// OpenSSL overwrites the key when the last connection that uses it has ended and this object is gone.
@safe
package final class KeyPair: @unchecked Sendable {
  // Never changed after `init`, and OpenSSL counts references to its objects atomically.
  private let certificates: [OpaquePointer]
  private let key: OpaquePointer
  /// The end of the certificate's validity; nil if it has no readable time.
  package let notAfter: WallTime?

  /// Reads `files` and checks that the key belongs to the certificate. `password` ends with a NUL.
  ///
  /// Throws if a file is missing, truncated or malformed, or if the two don't belong together.
  convenience init(_ files: ClientIdentityFiles, password: [UInt8]) throws(ClientIdentityError) {
    removeWeakeningVariables
    // libcurl also reads this thread's error queue.
    defer { ERR_clear_error() }
    let certificates = unsafe try readCertificates(files.certificate)
    let key: OpaquePointer
    do throws(ClientIdentityError) {
      var text = try contents(of: files.key)
      defer { overwrite(&text) }
      unsafe key = try readKey(in: text, of: files, password: password)
    } catch {
      unsafe free(certificates)
      throw error
    }
    unsafe self.init(certificates, key)
    guard let first = unsafe certificates.first, unsafe X509_check_private_key(first, key) == 1 else {
      throw .differs(key: files.key, certificate: files.certificate)
    }
  }

  private init(_ certificates: [OpaquePointer], _ key: OpaquePointer) {
    unsafe self.certificates = certificates
    unsafe self.key = key
    notAfter = unsafe certificates.first.flatMap { unsafe wallTime(X509_get0_notAfter($0)) }
  }

  deinit {
    unsafe EVP_PKEY_free(key)
    unsafe free(certificates)
  }

  /// Whether the other pair has the same certificates. If so, it has the same key, because a certificate
  /// contains its public key.
  func hasSameCertificates(as other: KeyPair) -> Bool {
    let (own, others) = unsafe (certificates, other.certificates)
    guard unsafe own.count == others.count else { return false }
    return unsafe zip(own, others).allSatisfy { unsafe X509_cmp($0, $1) == 0 }
  }

  /// Makes connections of a TLS context use this pair. Returns OpenSSL's reason if it refuses to; nil otherwise.
  func apply(to context: OpaquePointer) -> String? {
    ERR_clear_error()
    guard let first = unsafe certificates.first, unsafe SSL_CTX_use_certificate(context, first) == 1,
      unsafe certificates.dropFirst().allSatisfy({ unsafe copenssl_add_chain_certificate(context, $0) == 1 }),
      unsafe SSL_CTX_use_PrivateKey(context, key) == 1
    else {
      defer { ERR_clear_error() }
      let reason = unsafe ERR_reason_error_string(ERR_peek_error())
      return unsafe reason.map { unsafe String(cString: $0) } ?? "OpenSSL failed"
    }
    return nil
  }
}

private func free(_ certificates: [OpaquePointer]) {
  unsafe certificates.forEach { unsafe X509_free($0) }
}

/// Returns the certificates of a PEM file, at least one. Throws if one of them is truncated or malformed.
private func readCertificates(_ path: String) throws(ClientIdentityError) -> [OpaquePointer] {
  let bytes = try contents(of: path)
  var certificates = unsafe [OpaquePointer]()
  let isComplete = unsafe bytes.withUnsafeBytes { bytes in
    guard let memory = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return false }
    defer { unsafe BIO_free(memory) }
    // As libcurl does, accepts `TRUSTED CERTIFICATE` (openssl-x509(1)), too.
    while let certificate = unsafe PEM_read_bio_X509_AUX(memory, nil, nil, nil) {
      unsafe certificates.append(certificate)
    }
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
  }
  guard isComplete, unsafe !certificates.isEmpty else {
    unsafe free(certificates)
    throw .noCertificate(path)
  }
  return unsafe certificates
}

/// Throws if the private key is encrypted and `password`, which ends with a NUL, doesn't decrypt it.
///
/// A key that is missing or damaged isn't an error here. Initialises OpenSSL only if the key is encrypted.
func checkPassword(_ password: [UInt8], of files: ClientIdentityFiles) throws(ClientIdentityError) {
  guard var text = try? contents(of: files.key) else { return }
  defer { overwrite(&text) }
  guard isEncrypted(text) else { return }
  removeWeakeningVariables
  defer { ERR_clear_error() }
  unsafe EVP_PKEY_free(try readKey(in: text, of: files, password: password))
}

/// Returns the private key in PEM text. `password` ends with a NUL.
private func readKey(
  in text: [UInt8], of files: ClientIdentityFiles, password: [UInt8]
) throws(ClientIdentityError) -> OpaquePointer {
  let isEncrypted = isEncrypted(text)
  // An empty password file counts as none.
  if isEncrypted, password.count <= 1 { throw .needsPassword(key: files.key) }
  let key = unsafe text.withUnsafeBytes { bytes -> OpaquePointer? in
    guard let memory = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
    defer { unsafe BIO_free(memory) }
    return unsafe password.withUnsafeBytes { password in
      // Without a callback, the last argument is the password. Without any, OpenSSL would prompt for one on the terminal.
      unsafe PEM_read_bio_PrivateKey(
        memory, nil, nil, UnsafeMutableRawPointer(mutating: password.baseAddress))
    }
  }
  guard let key = unsafe key else {
    throw isEncrypted
      ? .wrongPassword(key: files.key, passwordFile: files.password ?? "") : .noKey(files.key)
  }
  return unsafe key
}

/// Whether PEM text has an encrypted key: PKCS #8 (RFC 7468, section 11) or the older `Proc-Type: 4,ENCRYPTED` (RFC 1421,
/// section 4.6.1.1).
private func isEncrypted(_ text: [UInt8]) -> Bool {
  // A String would be a copy of the key that can't be overwritten.
  let mark = Array("ENCRYPTED".utf8)
  return text.indices.contains { text[$0...].starts(with: mark) }
}

private func contents(of path: String) throws(ClientIdentityError) -> [UInt8] {
  guard !isSpecialFile(path) else { throw .notRegular(path) }
  do throws(Errno) {
    return try readFile(path, limit: 1_048_576, patience: .seconds(5))
  } catch {
    throw .unreadable(path, error)
  }
}

/// Overwrites a secret before its memory is freed.
func overwrite(_ secret: inout [UInt8]) {
  unsafe secret.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) }
}
