package import Platform

/// One place where credentials may come from.
package protocol CredentialSource: AnyObject {
  /// What the source is called in messages, such as `environment`.
  var name: String { get }

  /// The credentials to sign with now; nil where this source isn't configured.
  ///
  /// `now` is the corrected date, for expirations and signatures. Gives up at `deadline`, which bounds all the steps
  /// together: each step gets the time that is left, never a new time limit. Throws if the source is configured and
  /// fails: signing as somebody else instead would hide that.
  func credentials(at now: WallTime, until deadline: BootTime) throws(CredentialError) -> Credentials?

  /// Forgets `credentials` where it keeps them: a service refused them. Returns whether it did.
  func forget(_ credentials: Credentials) -> Bool

  /// Forgets a certificate and key, and credentials that were got with them: the files may have changed.
  func renew()
}

extension CredentialSource {
  package func forget(_ credentials: Credentials) -> Bool { false }
  package func renew() {}
}

/// Why there are no credentials.
package enum CredentialError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A source is configured and doesn't give any: what is wrong, and what to do.
  /// `isTransient` if the source may recover without anybody changing anything.
  case sourceFailed(source: String, reason: String, isTransient: Bool = false)
  case noSourceConfigured(tried: [String])

  package var description: String {
    switch self {
    case .sourceFailed(let source, let reason, _): "credentials from \(source): \(reason)"
    case .noSourceConfigured(let tried):
      "no credentials: none of these is configured: \(tried.joined(separator: ", "))"
    }
  }
}
