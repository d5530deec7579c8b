package import HTTPClient
package import Platform

/// The provider chain: uses the first configured source. If that source fails, the search ends with its error.
package final class CredentialChain: CredentialSource {
  package let name = "the credential chain"
  private let sources: [any CredentialSource]
  /// The name of the source that the last credentials came from.
  package private(set) var lastSource: String?

  package init(_ sources: [any CredentialSource]) {
    self.sources = sources
  }

  /// Creates the chain of the standard sources, in their order.
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
    // Call every source, even after one has forgotten them.
    sources.reduce(false) { $1.forget(credentials) || $0 }
  }

  package var identity: ClientIdentity? {
    for source in sources { if let identity = source.identity { return identity } }
    return nil
  }

  package func renew() {
    for source in sources { source.renew() }
  }
}
