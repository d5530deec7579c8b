import AWSClient
import DefenderAgent
import HTTPClient
import Platform

/// What authenticates the device to the endpoint.
private enum Identity {
  case certificate, credentials
  /// A broker on this machine, without TLS.
  case none
  /// The process that publishes for the agent, such as the Greengrass nucleus.
  case carrier
}

extension Doctor {
  /// The identity that the transport uses, even if the configuration of the transport has mistakes.
  private var identity: Identity {
    func isSet(_ variables: Variable...) -> Bool {
      variables.contains { environment.value($0.rawValue) != nil }
    }
    switch configuration.transport {
    case .mqtt:
      let text = environment.value(Variable.mqttEndpoint.rawValue) ?? ""
      switch (try? BrokerEndpoint(text, usesWebSocket: false))?.scheme {
      case .wss: return .credentials
      case .mqtt: return Identity.none
      case .mqtts, nil: return .certificate
      }
    case .https:
      return isSet(.certificateFile, .privateKeyFile) && !isSet(.roleAlias, .credentialsEndpoint)
        ? .certificate : .credentials
    default: return .carrier
    }
  }

  /// Checks what the transport uses, the certificate or the credentials. Returns whether that is usable.
  mutating func checkWhoWeAre() -> Bool {
    switch identity {
    case .none:
      note("credentials", .skipped, "not needed for a broker on this machine")
      return true
    case .carrier:
      note("credentials", .skipped, "not needed: \(carrier) has its own")
      return true
    case .certificate:
      let isUsable = checkCertificate(configuration.mqtt?.identity ?? configuration.https?.identity)
      isCertificateUnusable = !isUsable
      return isUsable
    case .credentials:
      return checkCredentials()
    }
  }

  private mutating func checkCertificate(_ identity: ClientIdentity?) -> Bool {
    guard let identity, !isMistaken(.certificateFile, .privateKeyFile, .privateKeyPasswordFile) else {
      note("certificate", .skipped, "see configuration")
      return false
    }
    let file = identity.certificateFile
    guard let certificate = CertificateSummary(pemFile: file), let start = certificate.notBefore,
      let end = certificate.notAfter
    else {
      note(
        "certificate", .failed, "\(file) contains no valid certificate",
        advice: "DEFENDER_CERTIFICATE_FILE must be a PEM file with the device's certificate.")
      return false
    }
    let text =
      "\(certificate.subject), issued by \(certificate.issuer), \(validity(start, end, at: time.wallTime))"
    if let (problem, advice) = keyProblem(of: identity) {
      note("certificate", .failed, "\(problem); the certificate is \(text)", advice: advice)
      return false
    }
    let clock = "This machine's clock shows \(date(time.wallTime))."
    if end <= time.wallTime {
      note(
        "certificate", .failed, "it has expired: \(text)",
        advice: "Register a new one, or correct this machine's clock. \(clock)")
      return false
    }
    if start > time.wallTime {
      note(
        "certificate", .failed, "it isn't valid yet: \(text)",
        advice: "Correct this machine's clock, or register a new one. \(clock)")
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

  /// Compares the key with the certificate before anything connects. Returns nil if they belong together.
  private func keyProblem(of identity: ClientIdentity) -> (problem: String, advice: String)? {
    switch identity.problem {
    case nil: nil
    case .noCertificate:
      // The first certificate was readable.
      (
        "a certificate after the first one in \(identity.certificateFile) is truncated or malformed",
        "Write the whole chain into the file again."
      )
    case .differs:
      (
        "the private key \(identity.keyFile) doesn't belong to the certificate \(identity.certificateFile)",
        "Use the key that was created together with the certificate."
      )
    case .noKey:
      (
        "\(identity.keyFile) contains no valid private key",
        "DEFENDER_PRIVATE_KEY_FILE must be a PEM file with the certificate's private key."
      )
    case .some(let problem): ("\(problem)", "Correct the file.")
    }
  }

  private mutating func checkCredentials() -> Bool {
    let ofRole: [Variable] = [
      .roleAlias, .credentialsEndpoint, .certificateFile, .privateKeyFile, .privateKeyPasswordFile,
    ]
    let usesRole = environment.value(Variable.roleAlias.rawValue) != nil
    guard !isMistaken(.accessKeyID, .secretAccessKey, .roleAlias, .credentialsEndpoint),
      !usesRole || !ofRole.contains(where: { isMistaken($0) })
    else {
      note("credentials", .skipped, "see configuration")
      return false
    }
    if let device = configuration.access.roleAlias?.device, !checkCertificate(try? ClientIdentity(device)) {
      note("credentials", .skipped, "see certificate")
      return false
    }
    do {
      let chain = try configuration.access.credentials(time: time, log: notes.log)
      let deadline = time.bootTime.advanced(by: options.stepTimeout)
      let found = try chain.credentials(at: time.wallTime, until: deadline)
      guard let found else { throw CredentialError.noSourceConfigured(tried: [chain.name]) }
      note(found, from: chain.lastSource ?? chain.name)
      return true
    } catch let error as CredentialError {
      if case .sourceFailed(let source, let reason, _, true) = error {
        noteFailedProxy(reason, usedFor: source)
      } else {
        note("credentials", .failed, "\(error)", advice: advice(on: error))
      }
    } catch {
      note("credentials", .failed, "\(error)")
    }
    _ = notes.take()
    return false
  }

  private func advice(on error: CredentialError) -> String {
    switch error {
    case .noSourceConfigured:
      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or assign a role to the device or function."
    case .sourceFailed(InstanceMetadataCredentials.sourceName, _, _, _):
      "On EC2, give the instance a role. Not on EC2? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    case .sourceFailed: "Correct the configuration of that source. No other source is tried instead."
    }
  }

  /// Reports a proxy that was needed for the credentials and failed, as the only failure: everything else depends on it.
  private mutating func noteFailedProxy(_ reason: String, usedFor source: String) {
    hasProxyFailed = true
    note("credentials", .skipped, "see proxy")
    note(
      "proxy", .failed, "credentials from \(source): \(reason)",
      advice:
        "Allow the host of the credential source in the proxy, correct HTTPS_PROXY, or add the host to NO_PROXY."
    )
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

/// Returns `valid from … until … (in 9 days)`.
func validity(_ start: WallTime?, _ end: WallTime, at now: WallTime) -> String {
  let from = start.map { "valid from \(date($0))\($0 > now ? " (in the future) " : " ")" }
  return "\(from ?? "valid ")until \(moment(end, from: now))"
}
