package import AWSClient
package import HTTPClient
package import Platform

/// How services of AWS are reached, and as whom: certificates, credentials, proxies.
package struct Access: Sendable {
  /// Where AWS's credential chain, the certificate authorities and the proxies read their own variables.
  private let environment: Environment
  /// Whether requests without TLS may go to any address.
  var allowsPlainHTTP = false
  /// The device's certificate and key; nil if none are configured.
  var device: ClientIdentityFiles?
  /// Nil if none is configured, or a mistake was noted.
  var roleAlias: IoTRoleAlias?
  /// Whether a mistake in the role alias was noted. No other source may give credentials then.
  var isRoleAliasMistaken = false

  init(reading environment: Environment) {
    self.environment = environment
  }

  /// Reads what publishing signed messages needs, and throws all mistakes in it together.
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

  /// How connections are made: whom to trust, which proxy to use, and whether TLS may be left out.
  package var connection: ConnectionConfiguration {
    ConnectionConfiguration(environment, allowsPlainHTTP: allowsPlainHTTP)
  }

  /// The credential chain, which asks no source yet.
  ///
  /// Throws if libcurl can't be used, or if the role alias is mistaken.
  package func credentials(time: any Waiter, log: Log) throws -> CredentialChain {
    if isRoleAliasMistaken {
      throw CredentialError.sourceFailed(
        source: "AWS IoT role alias", reason: "its variables are wrong; see the configuration")
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
