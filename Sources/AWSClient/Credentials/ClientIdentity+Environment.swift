package import HTTPClient
package import Platform
import WireFormats

extension ClientIdentity {
  /// The device's certificate and key, as the environment names them; nil where it names neither.
  package init?(
    _ environment: Environment,
    readFile: (String) throws(Errno) -> [UInt8] = { (path) throws(Errno) in
      try Platform.readFile(path, limit: 4_096, patience: .seconds(5))
    }
  ) throws(CredentialError) {
    let certificate = environment.value("DEFENDER_CERTIFICATE_FILE")
    let key = environment.value("DEFENDER_PRIVATE_KEY_FILE")
    if certificate == nil && key == nil { return nil }
    func failed(_ reason: String) -> CredentialError {
      .sourceFailed(source: "device certificate", reason: reason)
    }
    guard let certificate else {
      throw failed("DEFENDER_CERTIFICATE_FILE isn't set, DEFENDER_PRIVATE_KEY_FILE is")
    }
    guard let key else { throw failed("DEFENDER_PRIVATE_KEY_FILE isn't set, DEFENDER_CERTIFICATE_FILE is") }
    var password: String?
    if let path = environment.value("DEFENDER_PRIVATE_KEY_PASSWORD_FILE") {
      do throws(Errno) {
        password = trimmingBlanks(String(decoding: try readFile(path), as: UTF8.self))
      } catch {
        throw failed("DEFENDER_PRIVATE_KEY_PASSWORD_FILE \(path): \(error.ofFile)")
      }
    }
    self.init(certificateFile: certificate, keyFile: key, keyPassword: password)
  }
}
