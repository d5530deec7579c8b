package import Platform
import WireFormats

/// A role to assume with a token that an identity provider wrote to a file, as on Amazon EKS.
struct WebIdentity {
  let tokenFile: String
  let roleARN: String
  let sessionName: String?

  /// Calls `AssumeRoleWithWebIdentity`. Reads the token each time, because it is short-lived.
  func credentials(
    _ context: CredentialContext, region: String?, at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let token: String
    do throws(Errno) {
      token = trimmingBlanks(
        String(decoding: try context.contents(of: tokenFile, until: deadline), as: UTF8.self))
    } catch {
      throw CredentialFailure("the token file \(tokenFile): \(error.ofFile)")
    }
    let service = try SecurityTokenService(context.environment, region: region)
    let parameters = [
      ("RoleArn", roleARN), ("RoleSessionName", sessionName ?? "device-defender-swift"),
      ("WebIdentityToken", token),
    ]
    return try context.retrying(until: deadline) { () throws(CredentialFailure) in
      try service.call("AssumeRoleWithWebIdentity", parameters, context, at: now, until: deadline)
    }
  }
}

/// Credentials for the role `AWS_ROLE_ARN`, obtained with the token in the file `AWS_WEB_IDENTITY_TOKEN_FILE`.
package final class WebIdentityCredentials: CredentialSource {
  package let name = "web identity"
  private let context: CredentialContext
  private var cache = CredentialCache()

  package init(_ context: CredentialContext) {
    self.context = context
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    let environment = context.environment
    guard let tokenFile = environment.value("AWS_WEB_IDENTITY_TOKEN_FILE") else { return nil }
    guard let roleARN = environment.value("AWS_ROLE_ARN") else {
      throw .sourceFailed(
        source: name,
        reason: "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN isn't. Set both, or neither")
    }
    let identity = WebIdentity(
      tokenFile: tokenFile, roleARN: roleARN, sessionName: environment.value("AWS_ROLE_SESSION_NAME"))
    let region = environment.value("AWS_REGION", "AWS_DEFAULT_REGION")
    return try cache.credentials(at: now, from: name, context) { () throws(CredentialFailure) in
      try identity.credentials(context, region: region, at: now, until: deadline)
    }
  }

  package func forget(_ credentials: Credentials) -> Bool { cache.forget(credentials) }
}
