import Glibc
package import Platform

/// The files of a ``ClientIdentity``. They may be replaced while the process runs.
package struct ClientIdentityFiles: Equatable, Sendable {
  /// The path of the certificate in PEM, with the certificates of its authorities after it if the server needs them.
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

  /// A warning if users other than the owner have access to the key; nil if they don't, or if there is no such file.
  var warning: String? {
    var status = stat()
    guard unsafe stat(key, &status) == 0, status.st_mode & 0o077 != 0 else { return nil }
    let mode = String(status.st_mode & 0o777, radix: 8)
    return "Other users can read the private key \(key) (mode \(mode)). Run: chmod 600 \(key)"
  }
}

/// Why the files of a client identity can't be used.
package enum ClientIdentityError: Error, Equatable, Sendable, CustomStringConvertible {
  case unreadablePassword(path: String, Errno)
  case needsPassword(key: String)
  case wrongPassword(key: String, passwordFile: String)
  case unreadable(String, Errno)
  case notRegular(String)
  /// The file has no certificate in PEM, or one of its certificates is truncated or malformed.
  case noCertificate(String)
  /// The file has no private key in PEM, or it is truncated or malformed.
  case noKey(String)
  case differs(key: String, certificate: String)

  package var description: String {
    switch self {
    case .unreadablePassword(let path, let error):
      "the password file \(path) can't be read: \(error.ofFile)"
    case .needsPassword(let key): "the private key \(key) is encrypted, but no password for it is configured"
    case .wrongPassword(let key, let path):
      "the password in \(path) is wrong for the private key \(key), or the key is damaged. Only a line end after the "
        + "password is ignored; blanks are part of it"
    case .unreadable(let path, let error): "\(path) can't be read: \(error.ofFile)"
    case .notRegular(let path): "\(path) isn't a regular file"
    case .noCertificate(let path): "\(path) contains no certificate in PEM, or a truncated one"
    case .noKey(let path): "\(path) contains no private key in PEM, or a truncated one"
    case .differs(let key, let certificate):
      "the private key \(key) doesn't belong to the certificate \(certificate)"
    }
  }

  /// Whether the same files may be usable later, without any change to them.
  var isTransient: Bool {
    switch self {
    case .unreadable, .unreadablePassword: true
    default: false
    }
  }
}

extension ClientIdentity {
  /// Creates the identity of `files`.
  ///
  /// Throws if an encrypted key can't be decrypted. A missing certificate or key fails only when a connection uses it.
  /// Initialises OpenSSL only if the key is encrypted.
  package init(
    _ files: ClientIdentityFiles,
    readFile: (String) throws(Errno) -> [UInt8] = { (path) throws(Errno) in
      try Platform.readFile(path, limit: 4_096, patience: .seconds(5))
    }
  ) throws(ClientIdentityError) {
    self.init(certificateFile: files.certificate, keyFile: files.key, passwordFile: files.password)
    try keeper.checkPassword(readFile: readFile)
  }

  /// Why the files can't be used for a connection as they are now; nil if they can.
  package var problem: ClientIdentityError? { keeper.problemOfFiles }
}
