package import Platform

/// Credentials of a profile in the shared `config` and `credentials` files.
///
/// `AWS_PROFILE` names the profile; without it, the profile is `default`. It has keys, a `credential_process`, or a
/// `role_arn` to assume with the credentials of another profile, the environment, a container, EC2 or a token file.
package final class ProfileCredentials: CredentialSource {
  package let name = "profile"
  private let context: CredentialContext
  /// Caches credentials that aren't in the files themselves.
  private var cache = CredentialCache()
  private let container: ContainerCredentials
  private let instance: InstanceMetadataCredentials

  package init(_ context: CredentialContext) {
    self.context = context
    container = ContainerCredentials(context)
    instance = InstanceMetadataCredentials(context)
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    let chosen = context.environment.value("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    do throws(CredentialFailure) {
      let files = try SharedFiles(context, until: deadline)
      let name = chosen ?? "default"
      guard let profile = files.profiles[name] else {
        guard let chosen else { return nil }
        throw CredentialFailure("there is no profile '\(chosen)' in \(files.paths)")
      }
      guard profile.credentialKey != nil else {
        guard let chosen else { return nil }
        throw CredentialFailure("the profile '\(chosen)' in \(files.paths) has no credentials")
      }
      if let keys = try staticKeys(profile, name), profile["role_arn"] == nil { return keys }
      return try cached(files, name, at: now, until: deadline)
    } catch {
      throw .sourceFailed(
        source: "\(self.name) \(chosen ?? "default")", reason: error.reason, isTransient: error.isTransient)
    }
  }

  package func forget(_ credentials: Credentials) -> Bool {
    // The files are read at each use; only credentials obtained through them are cached.
    cache.forget(credentials) || container.forget(credentials) || instance.forget(credentials)
  }

  /// Returns the settings of the profile in use; nil if that profile doesn't exist.
  package func settings(until deadline: BootTime) throws(CredentialError) -> Profile? {
    do throws(CredentialFailure) {
      let name = context.environment.value("AWS_PROFILE", "AWS_DEFAULT_PROFILE") ?? "default"
      return try SharedFiles(context, until: deadline).profiles[name]
    } catch {
      throw .sourceFailed(source: name, reason: error.reason)
    }
  }

  private func cached(
    _ files: SharedFiles, _ profile: String, at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    do throws(CredentialError) {
      return try cache.credentials(at: now, from: "profile \(profile)", context) {
        () throws(CredentialFailure) in
        try self.resolve(profile, files, [], at: now, until: deadline)
      }
    } catch .sourceFailed(_, let reason, let isTransient, let isOfProxy) {
      throw CredentialFailure(reason, isTransient: isTransient, isOfProxy: isOfProxy)
    } catch {
      throw CredentialFailure("\(error)")
    }
  }

  private func resolve(
    _ name: String, _ files: SharedFiles, _ visited: [String], at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    guard let profile = files.profiles[name] else {
      throw CredentialFailure("there is no profile '\(name)' in \(files.paths)")
    }
    let isOwnSource = visited.last == name
    if let roleARN = profile["role_arn"], !isOwnSource {
      guard !visited.contains(name) else {
        throw CredentialFailure(
          "the profiles \((visited + [name]).joined(separator: ", ")) refer to each other in a circle")
      }
      return try assume(roleARN, profile, name, files, visited, at: now, until: deadline)
    }
    if let keys = try staticKeys(profile, name) { return keys }
    if let command = profile["credential_process"] {
      let process = CredentialProcess(
        command: command, environment: context.environment, time: context.time)
      return try process.credentials(until: deadline)
    }
    throw CredentialFailure(reasonForNoCredentials(profile, name))
  }

  private func assume(
    _ roleARN: String, _ profile: Profile, _ name: String, _ files: SharedFiles, _ visited: [String],
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let region = context.environment.value("AWS_REGION", "AWS_DEFAULT_REGION") ?? profile["region"]
    if let tokenFile = profile["web_identity_token_file"] {
      let identity = WebIdentity(
        tokenFile: tokenFile, roleARN: roleARN, sessionName: profile["role_session_name"])
      return try identity.credentials(context, region: region, at: now, until: deadline)
    }
    guard profile["mfa_serial"] == nil else {
      throw CredentialFailure(
        "the profile '\(name)' needs an MFA code (mfa_serial), which an agent can't enter")
    }
    let own: Credentials
    switch (profile["source_profile"], profile["credential_source"]) {
    case (let source?, nil):
      own = try resolve(source, files, visited + [name], at: now, until: deadline)
    case (nil, let source?):
      own = try credentials(ofSource: source, name, at: now, until: deadline)
    case (nil, nil):
      throw CredentialFailure(
        "the profile '\(name)' has a role_arn, but neither source_profile nor credential_source. Add one of them"
      )
    default:
      throw CredentialFailure(
        "the profile '\(name)' has both source_profile and credential_source. Remove one of them")
    }
    var parameters = [
      ("RoleArn", roleARN), ("RoleSessionName", profile["role_session_name"] ?? "device-defender-swift"),
    ]
    if let id = profile["external_id"] { parameters.append(("ExternalId", id)) }
    if let seconds = profile["duration_seconds"] { parameters.append(("DurationSeconds", seconds)) }
    let service = try SecurityTokenService(context.environment, region: region)
    return try context.retrying(until: deadline) { () throws(CredentialFailure) in
      try service.call("AssumeRole", parameters, signedWith: own, context, at: now, until: deadline)
    }
  }

  /// Returns credentials from the source that `credential_source` names.
  private func credentials(
    ofSource source: String, _ profile: String, at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let found: any CredentialSource
    switch source {
    case "Environment": found = EnvironmentCredentials(context.environment)
    case "EcsContainer": found = container
    case "Ec2InstanceMetadata": found = instance
    default:
      throw CredentialFailure(
        "the profile '\(profile)' has the credential_source '\(source)'. "
          + "Use Environment, EcsContainer or Ec2InstanceMetadata")
    }
    do throws(CredentialError) {
      if let credentials = try found.credentials(at: now, until: deadline) { return credentials }
    } catch {
      throw CredentialFailure("\(error)")
    }
    throw CredentialFailure("the profile '\(profile)' needs credentials from \(source), which has none")
  }
}

/// Returns why `profile` yields no credentials; it has no keys, no `credential_process` and no `role_arn`.
private func reasonForNoCredentials(_ profile: Profile, _ name: String) -> String {
  guard let key = profile.credentialKey else { return "the profile '\(name)' has no credentials" }
  switch key {
  case _ where key.hasPrefix("sso_"), _ where key.hasPrefix("login_"):
    let origin = key.hasPrefix("sso_") ? "signs in with SSO" : "signs in with `aws login`"
    return
      "the profile '\(name)' \(origin) (\(key)), which needs a person at a browser. Set its credential_process "
      + "to `aws configure export-credentials --format process --profile \(name)`, or remove \(key)"
  case "aws_session_token", "aws_security_token":
    return
      "the profile '\(name)' has \(key), but neither aws_access_key_id nor aws_secret_access_key. Add both, or "
      + "remove \(key)"
  default:
    return "the profile '\(name)' has \(key), but no role_arn. Add the role_arn, or remove \(key)"
  }
}

/// Returns the keys in the profile itself; nil if it has none.
private func staticKeys(_ profile: Profile, _ name: String) throws(CredentialFailure) -> Credentials? {
  switch (profile["aws_access_key_id"], profile["aws_secret_access_key"]) {
  case (nil, nil): return nil
  case (let id?, let secret?) where !id.isEmpty && !secret.isEmpty:
    return Credentials(
      accessKeyID: id, secretAccessKey: Secret(secret),
      sessionToken: profile["aws_session_token"].flatMap { $0.isEmpty ? nil : Secret($0) })
  case (nil, _): throw CredentialFailure("the profile '\(name)' has no aws_access_key_id")
  case (_, nil): throw CredentialFailure("the profile '\(name)' has no aws_secret_access_key")
  default: throw CredentialFailure("the profile '\(name)' has an empty key")
  }
}

/// The merged contents of the shared files.
private struct SharedFiles {
  let profiles: [String: Profile]
  /// The paths of the files, for messages.
  let paths: String

  init(_ context: CredentialContext, until deadline: BootTime) throws(CredentialFailure) {
    let home = context.environment.value("HOME")
    func path(_ variable: String, _ standard: String) -> String? {
      guard let path = context.environment.value(variable) else { return home.map { $0 + standard } }
      return path.hasPrefix("~/") ? (home ?? "~") + path.dropFirst() : path
    }
    let config = path("AWS_CONFIG_FILE", "/.aws/config")
    let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")
    paths = [config, credentials].compactMap { $0 }.joined(separator: " and ")
    let texts = try (
      Self.contents(config, context, deadline), Self.contents(credentials, context, deadline)
    )
    do throws(ProfileError) {
      profiles = try ProfileSet(config: texts.0, credentials: texts.1).profiles
    } catch {
      throw CredentialFailure("\(error) (\(paths))")
    }
  }

  /// Returns the text of a file; empty if there is no such file.
  private static func contents(
    _ path: String?, _ context: CredentialContext, _ deadline: BootTime
  ) throws(CredentialFailure) -> String {
    guard let path else { return "" }
    do throws(Errno) {
      return String(decoding: try context.contents(of: path, until: deadline), as: UTF8.self)
    } catch .noSuchFile {
      return ""
    } catch {
      throw CredentialFailure("\(path): \(error.ofFile)")
    }
  }
}
