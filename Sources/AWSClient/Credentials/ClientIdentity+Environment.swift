package import HTTPClient
package import Platform

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
        password = withoutLineEnd(String(decoding: try readFile(path), as: UTF8.self))
      } catch {
        throw failed("DEFENDER_PRIVATE_KEY_PASSWORD_FILE \(path): \(error.ofFile)")
      }
    }
    self.init(certificateFile: certificate, keyFile: key, keyPassword: password)
    switch keyProblem {
    case nil: break
    case .needsPassword:
      throw failed(
        "the private key \(key) is encrypted. Set DEFENDER_PRIVATE_KEY_PASSWORD_FILE to a file that holds its password"
      )
    case .wrongPassword:
      let path = environment.value("DEFENDER_PRIVATE_KEY_PASSWORD_FILE") ?? ""
      throw failed(
        "the password in \(path) is wrong for the private key \(key), or the key is damaged. Only a line end after the "
          + "password is ignored; blanks are part of it")
    }
  }
}

/// `text` without the line end that an editor or `echo` writes after it.
private func withoutLineEnd(_ text: String) -> String {
  guard text.utf8.last == 0x0A else { return text }
  // A carriage return and a line feed are one Character.
  return String(text.dropLast())
}
