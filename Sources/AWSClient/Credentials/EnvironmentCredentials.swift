package import Platform
import WireFormats

/// Credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_CREDENTIAL_EXPIRATION`.
/// AWS Lambda passes the credentials of the function's role in such variables.
package final class EnvironmentCredentials: CredentialSource {
  package let name = sourceName
  /// The variables of a process don't change, so they are read once.
  private let found: Result<Credentials?, CredentialError>

  package init(_ environment: Environment) {
    found = Result { () throws(CredentialError) in try readCredentials(environment) }
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    try found.get()
  }
}

private let sourceName = "environment"

private func readCredentials(_ environment: Environment) throws(CredentialError) -> Credentials? {
  /// Returns the variable's value without surrounding blanks; nil if nothing is left, as in the AWS SDKs.
  func trimmed(_ variable: String) -> String? {
    let text = environment[variable].map { trimmingBlanks($0) } ?? ""
    return text.isEmpty ? nil : text
  }
  let (id, secret) = (trimmed("AWS_ACCESS_KEY_ID"), trimmed("AWS_SECRET_ACCESS_KEY"))
  guard let accessKeyID = id, let secretAccessKey = secret else {
    if id == nil && secret == nil { return nil }
    let (present, missing) =
      id == nil
      ? ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID") : ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    throw .sourceFailed(
      source: sourceName, reason: "\(present) is set, but \(missing) isn't. Set both, or neither")
  }
  var expiration: WallTime?
  if let text = trimmed("AWS_CREDENTIAL_EXPIRATION") {
    guard let time = WallTime(iso8601: text) else {
      throw .sourceFailed(
        source: sourceName,
        reason: "AWS_CREDENTIAL_EXPIRATION is '\(text)'; it must be a time such as 2026-01-02T03:04:05Z")
    }
    expiration = time
  }
  return Credentials(
    accessKeyID: accessKeyID, secretAccessKey: Secret(secretAccessKey),
    sessionToken: trimmed("AWS_SESSION_TOKEN").map(Secret.init), expiration: expiration)
}
