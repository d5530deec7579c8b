import CCurl
import COpenSSL
import Glibc
package import Platform

/// The main fields of an X.509 certificate (RFC 5280, section 4.1).
package struct CertificateSummary: Equatable, Sendable {
  /// The subject, such as `CN=*.iot.eu-central-1.amazonaws.com`.
  package let subject: String
  /// The issuer, which signed the certificate.
  package let issuer: String
  /// The hosts that the certificate is valid for, such as `DNS:localhost, IP Address:127.0.0.1`; empty if it names
  /// none.
  package let names: String
  /// The start of the certificate's validity; nil if the certificate has no readable time.
  package let notBefore: WallTime?
  package let notAfter: WallTime?

  init(_ certificate: OpaquePointer) {
    subject = unsafe text { unsafe copenssl_print_name($0, X509_get_subject_name(certificate)) }
    issuer = unsafe text { unsafe copenssl_print_name($0, X509_get_issuer_name(certificate)) }
    names = unsafe text { output in
      let index = unsafe X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1)
      guard index >= 0 else { return 0 }
      return unsafe X509V3_EXT_print(output, X509_get_ext(certificate, index), 0, 0)
    }
    notBefore = unsafe wallTime(X509_get0_notBefore(certificate))
    notAfter = unsafe wallTime(X509_get0_notAfter(certificate))
  }

  /// Reads the first certificate in a PEM file; nil if there is none, or if the file isn't a readable regular file.
  package init?(pemFile path: String) {
    removeWeakeningVariables
    guard !isSpecialFile(path), let file = unsafe BIO_new_file(path, "r") else { return nil }
    defer { unsafe BIO_free(file) }
    guard let certificate = unsafe PEM_read_bio_X509_AUX(file, nil, nil, nil) else { return nil }
    defer { unsafe X509_free(certificate) }
    unsafe self.init(certificate)
  }
}

/// Returns what `write` writes, but at most 4,096 bytes.
private func text(_ write: (OpaquePointer) -> Int32) -> String {
  guard let memory = unsafe BIO_new(BIO_s_mem()) else { return "" }
  defer { unsafe BIO_free(memory) }
  _ = unsafe write(memory)
  var bytes = [UInt8](repeating: 0, count: 4_096)
  let count = unsafe BIO_read(memory, &bytes, Int32(bytes.count))
  return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
}

/// Converts a time of a certificate; nil if it can't be read.
func wallTime(_ time: UnsafePointer<ASN1_TIME>?) -> WallTime? {
  var civil = unsafe tm()
  guard let time = unsafe time, unsafe ASN1_TIME_to_tm(time, &civil) == 1 else { return nil }
  return unsafe WallTime(
    year: Int(civil.tm_year) + 1_900, month: Int(civil.tm_mon) + 1, day: Int(civil.tm_mday),
    hour: Int(civil.tm_hour), minute: Int(civil.tm_min), second: Int(civil.tm_sec))
}

/// Records the peer's certificates while OpenSSL verifies them, even if OpenSSL rejects them.
///
/// A class, because OpenSSL's callback receives a pointer to it.
final class CertificateRecorder {
  /// The peer's certificates, its own first.
  private(set) var chain: [CertificateSummary] = []
  /// Why OpenSSL rejected them; nil if it didn't.
  private(set) var rejection: CertificateRejection?
  private let preparation: TLSPreparation?

  init(_ preparation: TLSPreparation?) {
    self.preparation = preparation
  }

  /// Why our certificate or key can't be used; nil if nothing is wrong with them.
  var failure: HTTPError? { preparation?.failure }

  func prepare(_ context: OpaquePointer, of easy: UnsafeMutableRawPointer?) -> Bool {
    let recorder = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe SSL_CTX_set_cert_verify_callback(context, verifyAndRecord, recorder)
    return unsafe preparation?.apply(to: context, of: easy) ?? true
  }

  /// Verifies as OpenSSL does by default; returns 1 if the peer is trusted (X509_verify_cert(3)).
  func verify(_ context: OpaquePointer) -> Int32 {
    let result = unsafe X509_verify_cert(context)
    let found = unsafe copenssl_chain(context)
    chain = []
    for index in 0..<min(16, unsafe copenssl_chain_count(found)) {
      if let certificate = unsafe copenssl_chain_element(found, index) {
        unsafe chain.append(CertificateSummary(certificate))
      }
    }
    let code = unsafe X509_STORE_CTX_get_error(context)
    rejection = result == 1 ? nil : CertificateRejection(code: code)
    return result
  }
}

/// Why OpenSSL rejected a certificate chain (X509_STORE_CTX_get_error(3)).
package struct CertificateRejection: Equatable, Sendable, CustomStringConvertible {
  /// OpenSSL's description, such as `certificate has expired`.
  package let description: String
  /// Whether a certificate isn't valid at this time: it expired, or isn't valid yet. A wrong clock looks the same.
  package let isAboutTime: Bool

  init(code: Int32) {
    description = unsafe String(cString: X509_verify_cert_error_string(Int(code)))
    isAboutTime = code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID
  }
}

func recordCertificates(
  _ easy: UnsafeMutableRawPointer?, _ tls: UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer?
) -> CURLcode {
  guard let tls = unsafe tls, let context = unsafe context else { return CURLE_SSL_CONNECT_ERROR }
  let recorder = unsafe Unmanaged<CertificateRecorder>.fromOpaque(context).takeUnretainedValue()
  if unsafe recorder.prepare(OpaquePointer(tls), of: easy) { return CURLE_OK }
  return recorder.failure == nil ? CURLE_SSL_CONNECT_ERROR : CURLE_SSL_CERTPROBLEM
}

private func verifyAndRecord(_ context: OpaquePointer?, _ recorder: UnsafeMutableRawPointer?) -> Int32 {
  guard let context = unsafe context, let recorder = unsafe recorder else { return 0 }
  return unsafe Unmanaged<CertificateRecorder>.fromOpaque(recorder).takeUnretainedValue().verify(context)
}
