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
