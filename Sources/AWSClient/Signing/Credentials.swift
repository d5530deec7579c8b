package import Platform

/// What a request is signed with.
package struct Credentials: Equatable, Sendable {
  package let accessKeyID: String
  package let secretAccessKey: Secret
  /// Present with temporary credentials only.
  package let sessionToken: Secret?
  /// Nil where they don't expire, or nobody said when.
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
  /// What no text that others see may hold.
  package var secrets: [String] { [secretAccessKey.revealed, sessionToken?.revealed].compactMap { $0 } }
}
