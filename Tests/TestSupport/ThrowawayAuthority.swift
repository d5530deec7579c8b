import COpenSSL
import Glibc
import LambdaEmulator

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
    let subject = CertificateSubject(
      name: folder, extensions: [(NID_basic_constraints, "critical,CA:TRUE")])
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
  ///
  /// It is valid for `days`. If `isIndirect` is true, another authority issues it, whose certificate follows in the same file.
  package func issue(
    _ file: String, names: String, isExpired: Bool = false, isFuture: Bool = false,
    keyPassword: String? = nil, isIndirect: Bool = false, days: Int = 1
  ) throws -> Identity {
    serial += 1
    let own = try unsafe newKey()
    defer { unsafe EVP_PKEY_free(own) }
    let day = 86_400
    var subject = CertificateSubject(name: file, extensions: [(NID_subject_alt_name, names)])
    subject.validity = (isFuture ? day / 2 : -2 * day)...(isExpired ? -day : days * day)
    let between = unsafe isIndirect ? try intermediate() : nil
    defer {
      if let between = unsafe between {
        unsafe X509_free(between.certificate)
        unsafe EVP_PKEY_free(between.key)
      }
    }
    let issued = try unsafe newCertificate(
      subject, own, serial: serial, issuer: between ?? (certificate, key))
    defer { unsafe X509_free(issued) }
    let identity = Identity(certificateFile: "\(folder)/\(file).pem", keyFile: "\(folder)/\(file).key")
    try unsafe writeCertificate(issued, to: identity.certificateFile)
    if let between = unsafe between {
      try unsafe writeCertificate(between.certificate, to: identity.certificateFile, mode: "a")
    }
    try unsafe writeKey(own, to: identity.keyFile, password: keyPassword)
    files += [identity.certificateFile, identity.keyFile]
    return identity
  }

  private func intermediate() throws -> (certificate: OpaquePointer, key: OpaquePointer) {
    serial += 1
    let own = try unsafe newKey()
    let subject = CertificateSubject(
      name: "\(folder) \(serial)", extensions: [(NID_basic_constraints, "critical,CA:TRUE")])
    return unsafe (try newCertificate(subject, own, serial: serial, issuer: (certificate, key)), own)
  }
}

private func writeCertificate(_ certificate: OpaquePointer, to path: String, mode: String = "w") throws {
  guard let file = unsafe BIO_new_file(path, mode) else { throw ThrowawayAuthority.Failure(step: path) }
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
