package import AWSClient
package import HTTPClient
package import Platform

/// How to reach AWS services and authenticate to them: certificates, credentials and proxies.
package struct Access: Sendable {
  /// The environment from which the credential chain, the certificate authorities and the proxies read their variables.
  private let environment: Environment
  /// Whether requests without TLS are allowed to any address.
  var allowsPlainHTTP = false
  /// The device's certificate and key; nil if none are configured.
  var device: ClientIdentityFiles?
  /// The role alias; nil if none is configured, or if a mistake in it was noted.
  package internal(set) var roleAlias: IoTRoleAlias?
  /// Whether a mistake in the role alias was noted. If so, no other source may supply credentials.
  var isRoleAliasMistaken = false

  init(reading environment: Environment) {
    self.environment = environment
  }

  /// Reads the variables that publishing signed messages needs. Throws one error with all the mistakes in them.
  ///
  /// Without a role alias nothing uses the device's certificate and key, so mistakes in those are ignored.
  package init(_ environment: Environment) throws(ConfigurationError) {
    var reader = ConfigurationReader(environment)
    self = reader.readAccess()
    var mistakes = reader.mistakes
    if !reader.namesRoleAlias {
      let unused = [Variable.certificateFile, .privateKeyFile].map(\.rawValue)
      mistakes.removeAll { unused.contains($0.variable) }
    }
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
  }

  /// The settings of connections: the trusted authorities, the proxy, and whether connections without TLS are allowed.
  package var connection: ConnectionConfiguration {
    ConnectionConfiguration(environment, allowsPlainHTTP: allowsPlainHTTP)
  }

  /// Returns the credential chain, which hasn't queried any source yet.
  ///
  /// Throws if libcurl can't be used, or if the role alias is misconfigured.
  package func credentials(time: any Waiter, log: Log) throws -> CredentialChain {
    if isRoleAliasMistaken {
      throw CredentialError.sourceFailed(
        source: "AWS IoT role alias", reason: "its configuration has mistakes")
    }
    let context = try CredentialContext(environment, connection, time: time, log: log)
    return CredentialChain(context, roleAlias: roleAlias)
  }
}

/// The environment has secrets, so nothing prints it.
extension Access: CustomStringConvertible, CustomReflectable {
  package var description: String { "access" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
