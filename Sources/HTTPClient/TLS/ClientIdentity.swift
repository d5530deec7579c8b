package import Platform

/// Our identity in a TLS connection: an X.509 certificate and its private key, in PEM files.
///
/// Copies share one ``KeyPairKeeper``.
package struct ClientIdentity: Sendable, CustomStringConvertible {
  package let files: ClientIdentityFiles
  /// The certificate and key that connections use.
  package let keeper: KeyPairKeeper

  /// Creates the identity without reading the files. A missing or unusable file fails when a connection uses it.
  package init(certificateFile: String, keyFile: String, passwordFile: String? = nil) {
    files = ClientIdentityFiles(certificate: certificateFile, key: keyFile, password: passwordFile)
    keeper = KeyPairKeeper(files)
  }

  package var certificateFile: String { files.certificate }
  package var keyFile: String { files.key }

  package var description: String { "the certificate \(certificateFile) with the key \(keyFile)" }

  /// A warning if users other than the owner have access to the key; nil if they don't, or if there is no such file.
  package var warning: String? { files.warning }

  /// Logs ``warning`` if there is one, and starts to log when the files are renewed.
  package func report(to log: Log) {
    if let warning { log.warn(warning) }
    keeper.report(to: log)
  }
}
