import AWSClient
package import HTTPClient

/// The client certificate that a publisher uses, and what for.
package struct CertificateUse {
  package let identity: ClientIdentity
  /// Whether the certificate authenticates the connection for messages; false if it authenticates requests for credentials.
  package let authenticatesConnection: Bool
}

extension CredentialSource {
  /// The use of the certificate with which this source requests credentials; nil if it uses none.
  var certificate: CertificateUse? {
    identity.map { CertificateUse(identity: $0, authenticatesConnection: false) }
  }
}
