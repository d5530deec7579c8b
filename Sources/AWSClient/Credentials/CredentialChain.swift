package import Platform

/// The first source that is configured; one that is configured and fails ends the search.
package final class CredentialChain: CredentialSource {
  package let name = "the credential chain"
  private let sources: [any CredentialSource]
  /// The name of the source that the last credentials came from.
  package private(set) var lastSource: String?

  package init(_ sources: [any CredentialSource]) {
    self.sources = sources
  }

  /// The standard sources, in their order.
  package convenience init(_ context: CredentialContext, roleAlias: IoTRoleAlias?) {
    let profile = ProfileCredentials(context)
    self.init([
      EnvironmentCredentials(context.environment),
      IoTRoleAliasCredentials(roleAlias, context),
      profile,
      WebIdentityCredentials(context),
      ContainerCredentials(context),
      InstanceMetadataCredentials(context, profile: profile.settings),
    ])
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    for source in sources {
      if let found = try source.credentials(at: now, until: deadline) {
        lastSource = source.name
        return found
      }
    }
    throw .noSourceConfigured(tried: sources.map(\.name))
  }

  package func forget(_ credentials: Credentials) -> Bool {
    // Every source, whichever the first is that has them.
    sources.reduce(false) { $1.forget(credentials) || $0 }
  }

  package func renew() {
    for source in sources { source.renew() }
  }
}
