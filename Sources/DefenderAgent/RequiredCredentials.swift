import AWSClient
import Platform

/// Throws if `publisher` signs and no credential source is configured: no report could ever succeed.
///
/// A source that is configured and fails isn't a mistake here, because it may recover. On EC2 the metadata service counts as
/// configured even if it doesn't answer, because the network may not be up yet.
func requireCredentials(
  of publisher: any Publisher, _ configuration: Configuration, _ environment: Environment, time: any Waiter
) throws(ConfigurationError) {
  // Each of these settings configures a source. Getting credentials from a slow one now would only delay the first sample.
  guard
    configuration.access.roleAlias == nil, !configuration.access.isRoleAliasMistaken,
    environment.value(
      "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
      "AWS_CONTAINER_CREDENTIALS_FULL_URI") == nil
  else { return }
  do throws(CredentialError) {
    try publisher.findCredentials(until: time.bootTime.advanced(by: .seconds(10)))
  } catch .noSourceConfigured(let tried) where !mayHaveInstanceMetadata(environment) {
    throw ConfigurationError(
      of: .accessKeyID,
      "isn't set, and no other source of credentials is configured (tried: \(tried.joined(separator: ", "))). "
        + "\(configuration.transport.name) without a certificate signs with AWS credentials: set AWS_ACCESS_KEY_ID and "
        + "AWS_SECRET_ACCESS_KEY, or configure DEFENDER_ROLE_ALIAS or another source")
  } catch {}
}
