import COpenSSL

/// OpenSSL failed in a step of creating a key or a certificate.
package struct CertificateError: Error, CustomStringConvertible {
  package let step: String

  package var description: String { "can't create a certificate: OpenSSL failed in \(step)" }
}

/// What a certificate says.
package struct CertificateSubject {
  package var name: String
  /// OpenSSL's number of each extension, and its value as in openssl's x509v3_config(5).
  package var extensions: [(kind: Int32, value: String)]
  /// The start and the end of its validity, in seconds from now.
  package var validity = -86_400...86_400

  package init(name: String, extensions: [(kind: Int32, value: String)]) {
    self.name = name
    self.extensions = extensions
  }
}

/// Returns a new private key on the curve P-256. The caller must free it.
package func newKey() throws(CertificateError) -> OpaquePointer {
  guard let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else {
    throw CertificateError(step: "EVP_PKEY_CTX_new_id")
  }
  defer { unsafe EVP_PKEY_CTX_free(context) }
  var key: OpaquePointer?
  guard
    unsafe EVP_PKEY_keygen_init(context) == 1,
    unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
    unsafe EVP_PKEY_keygen(context, &key) == 1, let key = unsafe key
  else { throw CertificateError(step: "EVP_PKEY_keygen") }
  return unsafe key
}

/// Returns a certificate for `key`, signed by `issuer`, or by itself if that is nil. The caller must free it.
package func newCertificate(
  _ subject: CertificateSubject, _ key: OpaquePointer, serial: Int,
  issuer: (certificate: OpaquePointer, key: OpaquePointer)?
) throws(CertificateError) -> OpaquePointer {
  guard let certificate = unsafe X509_new() else { throw CertificateError(step: "X509_new") }
  _ = unsafe X509_set_version(certificate, 2)
  _ = unsafe ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
  _ = unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), subject.validity.lowerBound)
  _ = unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), subject.validity.upperBound)
  let name = unsafe X509_get_subject_name(certificate)
  _ = unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, subject.name, -1, -1, 0)
  _ = unsafe X509_set_issuer_name(certificate, X509_get_subject_name(issuer?.certificate ?? certificate))
  _ = unsafe X509_set_pubkey(certificate, key)
  for (kind, value) in subject.extensions {
    guard let field = unsafe X509V3_EXT_conf_nid(nil, nil, kind, value) else {
      unsafe X509_free(certificate)
      throw CertificateError(step: "X509V3_EXT_conf_nid for '\(value)'")
    }
    _ = unsafe X509_add_ext(certificate, field, -1)
    unsafe X509_EXTENSION_free(field)
  }
  guard unsafe X509_sign(certificate, issuer?.key ?? key, EVP_sha256()) > 0 else {
    unsafe X509_free(certificate)
    throw CertificateError(step: "X509_sign")
  }
  return unsafe certificate
}
