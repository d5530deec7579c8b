import AWSClient
import Platform

extension CredentialSource {
  /// Returns the credentials, with no deadline.
  func credentials(at now: WallTime) throws(CredentialError) -> Credentials? {
    try credentials(at: now, until: .distantFuture)
  }
}
