import COpenSSL
import Glibc

/// A certificate authority for one test, with its certificates as PEM files in a temporary directory.
@safe
package final class ThrowawayAuthority {
  package struct Failure: Error {
    let step: String
  }

  /// A certificate and its private key.
  package struct Identity: Sendable {
    package let certificateFile: String
    package let keyFile: String
  }

  package let folder: String
  /// The path of the authority's certificate.
  package var certificateFile: String { folder + "/ca.pem" }
  private let key: OpaquePointer
  private let certificate: OpaquePointer
  private var serial = 1

  package init() throws {
    var template = Array("/tmp/throwaway-ca-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw Failure(step: "mkdtemp") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    unsafe key = try newKey()
    let subject = Subject(name: folder, extensions: [(NID_basic_constraints, "critical,CA:TRUE")])
    unsafe certificate = try newCertificate(subject, key, serial: 1, issuer: nil)
    unsafe try writeCertificate(certificate, to: folder + "/ca.pem")
  }

  deinit {
    unsafe X509_free(certificate)
    unsafe EVP_PKEY_free(key)
    for file in files + [certificateFile] { unsafe unlink(file) }
    unsafe rmdir(folder)
  }

  private var files: [String] = []

  /// Creates a certificate for `names`, such as `DNS:localhost` or `IP:127.0.0.1`, and its key, which is encrypted if there is a
  /// password.
  package func issue(
    _ file: String, names: String, isExpired: Bool = false, isFuture: Bool = false, keyPassword: String? = nil
  ) throws -> Identity {
    serial += 1
    let own = try unsafe newKey()
    defer { unsafe EVP_PKEY_free(own) }
    let subject = Subject(
      name: file, extensions: [(NID_subject_alt_name, names)], isExpired: isExpired,
      isFuture: isFuture)
    let issued = try unsafe newCertificate(subject, own, serial: serial, issuer: (certificate, key))
    defer { unsafe X509_free(issued) }
    let identity = Identity(certificateFile: "\(folder)/\(file).pem", keyFile: "\(folder)/\(file).key")
    try unsafe writeCertificate(issued, to: identity.certificateFile)
    try unsafe writeKey(own, to: identity.keyFile, password: keyPassword)
    files += [identity.certificateFile, identity.keyFile]
    return identity
  }
}

private struct Subject {
  let name: String
  let extensions: [(Int32, String)]
  var isExpired = false
  var isFuture = false
}

private func newKey() throws -> OpaquePointer {
  guard let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else {
    throw ThrowawayAuthority.Failure(step: "EVP_PKEY_CTX_new_id")
  }
  defer { unsafe EVP_PKEY_CTX_free(context) }
  var key: OpaquePointer?
  guard
    unsafe EVP_PKEY_keygen_init(context) == 1,
    unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
    unsafe EVP_PKEY_keygen(context, &key) == 1, let key = unsafe key
  else { throw ThrowawayAuthority.Failure(step: "EVP_PKEY_keygen") }
  return unsafe key
}

private func newCertificate(
  _ subject: Subject, _ key: OpaquePointer, serial: Int, issuer: (OpaquePointer, OpaquePointer)?
) throws -> OpaquePointer {
  guard let certificate = unsafe X509_new() else { throw ThrowawayAuthority.Failure(step: "X509_new") }
  let day = 86_400
  _ = unsafe X509_set_version(certificate, 2)
  _ = unsafe ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
  _ = unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), subject.isFuture ? day / 2 : -2 * day)
  _ = unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), subject.isExpired ? -day : day)
  let name = unsafe X509_get_subject_name(certificate)
  _ = unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, subject.name, -1, -1, 0)
  _ = unsafe X509_set_issuer_name(certificate, X509_get_subject_name(issuer?.0 ?? certificate))
  _ = unsafe X509_set_pubkey(certificate, key)
  for (kind, value) in subject.extensions {
    guard let field = unsafe X509V3_EXT_conf_nid(nil, nil, kind, value) else {
      throw ThrowawayAuthority.Failure(step: value)
    }
    _ = unsafe X509_add_ext(certificate, field, -1)
    unsafe X509_EXTENSION_free(field)
  }
  guard unsafe X509_sign(certificate, issuer?.1 ?? key, EVP_sha256()) > 0 else {
    throw ThrowawayAuthority.Failure(step: "X509_sign")
  }
  return unsafe certificate
}

private func writeCertificate(_ certificate: OpaquePointer, to path: String) throws {
  guard let file = unsafe BIO_new_file(path, "w") else { throw ThrowawayAuthority.Failure(step: path) }
  defer { unsafe BIO_free(file) }
  guard unsafe PEM_write_bio_X509(file, certificate) == 1 else {
    throw ThrowawayAuthority.Failure(step: path)
  }
}

private func writeKey(_ key: OpaquePointer, to path: String, password: String?) throws {
  guard let file = unsafe BIO_new_file(path, "w") else { throw ThrowawayAuthority.Failure(step: path) }
  defer { unsafe BIO_free(file) }
  let cipher = unsafe password == nil ? nil : EVP_aes_256_cbc()
  var secret = Array((password ?? "").utf8CString)
  let result = unsafe PEM_write_bio_PKCS8PrivateKey(
    file, key, cipher, &secret, Int32(secret.count - 1), nil, nil)
  guard result == 1, unsafe chmod(path, 0o600) == 0 else { throw ThrowawayAuthority.Failure(step: path) }
}
