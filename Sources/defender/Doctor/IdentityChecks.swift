import AWSClient
import DefenderAgent
import HTTPClient
import Platform

extension Doctor {
  /// Checks the certificate or the credentials; returns whether they can be used.
  mutating func checkWhoWeAre() -> Bool {
    switch configuration.transport {
    case .mqtt where configuration.mqtt?.broker.scheme == .mqtt:
      note("credentials", .skipped, "not needed for a broker on this machine")
      return true
    case .mqtt where configuration.mqtt?.broker.scheme == .mqtts:
      return checkCertificate(configuration.mqtt?.identity)
    case .https where configuration.https?.identity != nil:
      return checkCertificate(configuration.https?.identity)
    case .mqtt, .https:
      return checkCredentials()
    default:
      note("credentials", .skipped, "not needed: \(carrier) has its own")
      return true
    }
  }

  private mutating func checkCertificate(_ identity: ClientIdentity?) -> Bool {
    guard let identity else {
      note("certificate", .skipped, "see the configuration")
      return false
    }
    guard let certificate = CertificateSummary(pemFile: identity.certificateFile),
      let end = certificate.notAfter
    else {
      note(
        "certificate", .failed, "\(identity.certificateFile) contains no valid certificate",
        advice: "DEFENDER_CERTIFICATE_FILE must be a PEM file with the device's certificate.")
      return false
    }
    let text =
      "\(certificate.subject), issued by \(certificate.issuer), until \(moment(end, from: time.wallTime))"
    if end <= time.wallTime {
      note(
        "certificate", .failed, text,
        advice: "It has expired: register a new one. If it hasn't, correct this machine's clock.")
      return false
    }
    if let warning = identity.warning {
      note("certificate", .warning, "\(text). \(warning)")
    } else if time.wallTime.duration(to: end) < .seconds(30 * 86_400) {
      note("certificate", .warning, text, advice: "It expires soon: register a new one.")
    } else {
      note("certificate", .ok, text)
    }
    return true
  }

  private mutating func checkCredentials() -> Bool {
    do {
      let chain = try configuration.access.credentials(time: time, log: notes.log)
      let deadline = time.bootTime.advanced(by: options.stepTimeout)
      let found = try chain.credentials(at: time.wallTime, until: deadline)
      guard let found else { throw CredentialError.noSourceConfigured(tried: [chain.name]) }
      note(found, from: chain.lastSource ?? chain.name)
      return true
    } catch let error as CredentialError {
      let advice: String
      if case .noSourceConfigured = error {
        advice =
          "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or assign a role to the device or function."
      } else {
        advice = "Correct the configuration of that source. No other source is tried instead."
      }
      note("credentials", .failed, "\(error)", advice: advice)
    } catch {
      note("credentials", .failed, "\(error)")
    }
    _ = notes.take()
    return false
  }

  private mutating func note(_ credentials: Credentials, from source: String) {
    var text = "from \(source), access key id …\(credentials.accessKeyID.suffix(4))"
    guard let end = credentials.expiration else {
      text += credentials.sessionToken == nil ? ", permanent" : ", temporary, with an unknown expiration"
      return noteCredentials(text)
    }
    text += ", until \(moment(end, from: time.wallTime))"
    if end <= time.wallTime {
      note(
        "credentials", .failed, text,
        advice: "They have expired: get new ones. If they haven't, correct this machine's clock.")
    } else {
      noteCredentials(text)
    }
  }

  private mutating func noteCredentials(_ text: String) {
    if let warning = notes.take() {
      note("credentials", .warning, "\(text); \(warning)")
    } else {
      note("credentials", .ok, text)
    }
  }
}
