import Glibc

/// Our identity in a TLS connection: an X.509 certificate and its private key, in PEM files.
package struct ClientIdentity: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
  package let certificateFile: String
  package let keyFile: String
  /// The password of an encrypted key.
  let keyPassword: String?

  package init(certificateFile: String, keyFile: String, keyPassword: String? = nil) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.keyPassword = keyPassword
  }

  package var description: String { "the certificate \(certificateFile) with the key \(keyFile)" }
  // Omits the password.
  package var customMirror: Mirror {
    Mirror(self, children: ["certificateFile": certificateFile, "keyFile": keyFile])
  }

  /// A warning if users other than the owner have access to the key; nil if they don't, or if there is no such file.
  package var warning: String? {
    var status = stat()
    guard unsafe stat(keyFile, &status) == 0, status.st_mode & 0o077 != 0 else { return nil }
    let mode = String(status.st_mode & 0o777, radix: 8)
    return "Other users can read the private key \(keyFile) (mode \(mode)). Run: chmod 600 \(keyFile)"
  }
}
