package import Platform

/// AWS credentials, which sign requests.
package struct Credentials: Equatable, Sendable {
  package let accessKeyID: String
  package let secretAccessKey: Secret
  /// The session token; only temporary credentials have one.
  package let sessionToken: Secret?
  /// Nil if the credentials don't expire or their expiration is unknown.
  package let expiration: WallTime?

  package init(
    accessKeyID: String, secretAccessKey: Secret, sessionToken: Secret? = nil, expiration: WallTime? = nil
  ) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
    self.expiration = expiration
  }
}

extension Credentials {
  /// The values that must never appear in a log, an error or any other output.
  package var secrets: [String] { [secretAccessKey.revealed, sessionToken?.revealed].compactMap { $0 } }
}
