package import Platform

/// The files of a ``ClientIdentity``. They are read for each identity, because they may be replaced while the process runs.
package struct ClientIdentityFiles: Equatable, Sendable {
  /// The path of the certificate in PEM.
  package let certificate: String
  /// The path of the private key in PEM.
  package let key: String
  /// The path of the file with the password of an encrypted key; nil if there is none.
  package let password: String?

  package init(certificate: String, key: String, password: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.password = password
  }
}

/// Why the files of a client identity can't be used.
package enum ClientIdentityError: Error, Equatable, Sendable, CustomStringConvertible {
  case unreadablePassword(path: String, Errno)
  case needsPassword(key: String)
  case wrongPassword(key: String, passwordFile: String)

  package var description: String {
    switch self {
    case .unreadablePassword(let path, let error):
      "the password file \(path) can't be read: \(error.ofFile)"
    case .needsPassword(let key): "the private key \(key) is encrypted, but no password for it is configured"
    case .wrongPassword(let key, let path):
      "the password in \(path) is wrong for the private key \(key), or the key is damaged. Only a line end after the "
        + "password is ignored; blanks are part of it"
    }
  }
}

extension ClientIdentity {
  /// Creates the identity from the current contents of `files`.
  ///
  /// Throws if an encrypted key can't be decrypted. A missing certificate or key fails only when a connection uses it.
  package init(
    _ files: ClientIdentityFiles,
    readFile: (String) throws(Errno) -> [UInt8] = { (path) throws(Errno) in
      try Platform.readFile(path, limit: 4_096, patience: .seconds(5))
    }
  ) throws(ClientIdentityError) {
    var password: String?
    if let path = files.password {
      do throws(Errno) {
        password = withoutLineEnd(String(decoding: try readFile(path), as: UTF8.self))
      } catch {
        throw .unreadablePassword(path: path, error)
      }
    }
    self.init(certificateFile: files.certificate, keyFile: files.key, keyPassword: password)
    switch keyProblem {
    case nil: break
    // An empty password file counts as none.
    case .needsPassword: throw .needsPassword(key: files.key)
    case .wrongPassword: throw .wrongPassword(key: files.key, passwordFile: files.password ?? "")
    }
  }
}

/// Returns `text` without the line end that an editor or `echo` writes after it.
private func withoutLineEnd(_ text: String) -> String {
  guard text.utf8.last == 0x0A else { return text }
  // A carriage return and a line feed are one Character.
  return String(text.dropLast())
}
