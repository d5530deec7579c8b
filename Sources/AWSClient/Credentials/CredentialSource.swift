package import HTTPClient
package import Platform

/// One place that AWS credentials can come from.
package protocol CredentialSource: AnyObject {
  /// The name of the source in messages, such as `environment`.
  var name: String { get }

  /// Returns the credentials to sign with now; nil if this source isn't configured.
  ///
  /// `now` is the corrected date, for expirations and signatures. The implementation must give up at `deadline`, which
  /// bounds all steps together: each step gets the time that is left, never a new time limit. It must throw if the
  /// source is configured and fails: signing with another identity instead would hide the failure.
  func credentials(at now: WallTime, until deadline: BootTime) throws(CredentialError) -> Credentials?

  /// Forgets `credentials` if they are cached, because a service rejected them. Returns whether they were.
  func forget(_ credentials: Credentials) -> Bool

  /// Forgets the certificate and key, and credentials obtained with them, because the files may have changed.
  func renew()

  /// The client certificate that requests for credentials present; nil if they present none.
  var identity: ClientIdentity? { get }
}

extension CredentialSource {
  package func forget(_ credentials: Credentials) -> Bool { false }
  package func renew() {}
  package var identity: ClientIdentity? { nil }
}

/// Why there are no credentials.
package enum CredentialError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A configured source failed. `reason` says what is wrong and what to do; `isTransient` is true if the source may
  /// recover without any change to the configuration, and `isOfProxy` if no request reached it because the proxy failed.
  case sourceFailed(source: String, reason: String, isTransient: Bool = false, isOfProxy: Bool = false)
  case noSourceConfigured(tried: [String])

  package var description: String {
    switch self {
    case .sourceFailed(let source, let reason, _, _): "credentials from \(source): \(reason)"
    case .noSourceConfigured(let tried):
      "no credentials: none of these is configured: \(tried.joined(separator: ", "))"
    }
  }
}
