import COpenSSL
import Platform
import WireFormats

extension ClientIdentity {
  /// What is wrong with the password of an encrypted private key.
  package enum KeyProblem: Equatable, Sendable {
    case needsPassword, wrongPassword
  }

  /// Why the private key can't be decrypted; nil if it can, isn't encrypted, or can't be read.
  ///
  /// Initialises OpenSSL only if the key is encrypted.
  package var keyProblem: KeyProblem? {
    guard let bytes = try? readFile(keyFile, limit: 65_536, patience: .seconds(5)),
      // PKCS #8 (RFC 7468, section 11) and the older `Proc-Type: 4,ENCRYPTED` (RFC 1421, section 4.6.1.1).
      String(decoding: bytes, as: UTF8.self).includes("ENCRYPTED")
    else { return nil }
    guard let keyPassword, !keyPassword.isEmpty else { return .needsPassword }
    removeWeakeningVariables
    return unsafe bytes.withUnsafeBytes { unsafe canDecrypt($0, keyPassword) } ? nil : .wrongPassword
  }
}

extension ClientIdentity {
  /// The result of comparing the private key with the certificate.
  package enum KeyMatch: Equatable, Sendable {
    case matches
    /// The key belongs to another certificate.
    case differs
    /// The key file contains no private key in PEM, or can't be read.
    case noKey
    /// The certificate file contains no certificate in PEM, or can't be read.
    case noCertificate
  }

  /// Compares the private key with the certificate, as a TLS connection would before it starts.
  package var keyMatch: KeyMatch {
    removeWeakeningVariables
    // libcurl also reads this thread's error queue.
    defer { ERR_clear_error() }
    guard let certificateBytes = try? readFile(certificateFile, limit: 1_048_576, patience: .seconds(5)),
      let certificate = unsafe withMemory(certificateBytes, { unsafe PEM_read_bio_X509($0, nil, nil, nil) })
    else { return .noCertificate }
    defer { unsafe X509_free(certificate) }
    // Without any password, OpenSSL would prompt for one on the terminal.
    let password = keyPassword ?? ""
    guard let keyBytes = try? readFile(keyFile, limit: 1_048_576, patience: .seconds(5)),
      let key = unsafe password.withCString({ password in
        unsafe withMemory(keyBytes) {
          unsafe PEM_read_bio_PrivateKey($0, nil, nil, UnsafeMutableRawPointer(mutating: password))
        }
      })
    else { return .noKey }
    defer { unsafe EVP_PKEY_free(key) }
    return unsafe X509_check_private_key(certificate, key) == 1 ? .matches : .differs
  }
}

/// Calls `read` with a BIO that contains `bytes`; returns nil if there is no memory for it.
private func withMemory(_ bytes: [UInt8], _ read: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
  unsafe bytes.withUnsafeBytes { bytes in
    guard let memory = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
    defer { unsafe BIO_free(memory) }
    return unsafe read(memory)
  }
}

/// Returns whether `password` decrypts the PEM text `key`.
private func canDecrypt(_ key: UnsafeRawBufferPointer, _ password: String) -> Bool {
  guard let memory = unsafe BIO_new_mem_buf(key.baseAddress, Int32(key.count)) else { return false }
  defer { unsafe BIO_free(memory) }
  // Without a callback, the last argument is the password.
  let decrypted = unsafe password.withCString { password in
    unsafe PEM_read_bio_PrivateKey(memory, nil, nil, UnsafeMutableRawPointer(mutating: password))
  }
  guard let decrypted = unsafe decrypted else {
    // libcurl also reads this thread's error queue.
    ERR_clear_error()
    return false
  }
  unsafe EVP_PKEY_free(decrypted)
  return true
}
