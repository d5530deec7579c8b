package import Platform

/// Credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and
/// `AWS_CREDENTIAL_EXPIRATION`: how AWS Lambda hands over those of the function's role.
package final class EnvironmentCredentials: CredentialSource {
  package let name = "environment"
  private let environment: Environment

  package init(_ environment: Environment) {
    self.environment = environment
  }

  package func credentials(
    at now: WallTime, within timeout: Duration
  ) throws(CredentialError) -> Credentials? {
    // A value of blanks counts as none, as in the AWS SDKs.
    let accessKeyID = trimmed("AWS_ACCESS_KEY_ID")
    let secretAccessKey = trimmed("AWS_SECRET_ACCESS_KEY")
    guard let accessKeyID, let secretAccessKey else { return nil }
    return Credentials(
      accessKeyID: accessKeyID, secretAccessKey: Secret(secretAccessKey),
      sessionToken: trimmed("AWS_SESSION_TOKEN").map(Secret.init),
      expiration: try expiration())
  }

  private func expiration() throws(CredentialError) -> WallTime? {
    guard let text = trimmed("AWS_CREDENTIAL_EXPIRATION") else { return nil }
    guard let time = WallTime(iso8601: text) else {
      throw .sourceFailed(
        source: name, reason: "AWS_CREDENTIAL_EXPIRATION is '\(text)'; it has to be like 2026-01-02T03:04:05Z"
      )
    }
    return time
  }

  private func trimmed(_ variable: String) -> String? {
    guard let value = environment[variable] else { return nil }
    let text = trimmingBlanks(value)
    return text.isEmpty ? nil : text
  }
}

/// `text` without the spaces, tabs and line ends around it.
func trimmingBlanks(_ text: some StringProtocol) -> String {
  func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  let bytes = Array(text.utf8)
  guard let first = bytes.firstIndex(where: { !isBlank($0) }) else { return "" }
  let last = bytes.lastIndex { !isBlank($0) } ?? first
  return String(decoding: bytes[first...last], as: UTF8.self)
}
