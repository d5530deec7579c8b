import HTTPClient
package import Platform
import WireFormats

/// Credentials of an Amazon EC2 instance's role, from the Instance Metadata Service, version 2.
///
/// Never uses version 1, which is open to anyone who can make the machine fetch a URL. Doesn't use version 2 in AWS
/// Lambda or under Greengrass, which don't offer it.
package final class InstanceMetadataCredentials: CredentialSource {
  /// The name of this source in errors.
  package static let sourceName = "EC2 instance metadata"
  package let name = InstanceMetadataCredentials.sourceName
  private let context: CredentialContext
  /// Returns the settings of the profile in use.
  private let profile: (_ deadline: BootTime) throws(CredentialError) -> Profile?
  private var cache = CredentialCache()

  package init(
    _ context: CredentialContext,
    profile: @escaping (_ deadline: BootTime) throws(CredentialError) -> Profile? = { _ in nil }
  ) {
    self.context = context
    self.profile = profile
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    guard isEnabled else { return nil }
    let endpoint = try Self.endpoint(context.environment, profile: profile(deadline))
    var isReachable = true
    do throws(CredentialError) {
      return try cache.credentials(at: now, from: name, context) { () throws(CredentialFailure) in
        try context.retrying(until: deadline) { () throws(CredentialFailure) in
          guard let token = try self.token(endpoint, until: deadline) else {
            isReachable = false
            throw CredentialFailure("\(endpoint) doesn't respond")
          }
          return try self.fetch(endpoint, token, until: deadline)
        }
      }
    } catch {
      // A machine outside EC2 isn't a failure of this source.
      if !isReachable { return nil }
      throw error
    }
  }

  package func forget(_ credentials: Credentials) -> Bool { cache.forget(credentials) }

  /// Returns the endpoint of the service: `AWS_EC2_METADATA_SERVICE_ENDPOINT` or the profile's
  /// `ec2_metadata_service_endpoint`; otherwise the address for the mode (IPv4 or IPv6) in the settings of the same
  /// names with `_MODE`.
  package static func endpoint(
    _ environment: Environment, profile: Profile? = nil, mode: String? = nil
  ) throws(CredentialError) -> ServiceEndpoint {
    let variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    let failed = { CredentialError.sourceFailed(source: sourceName, reason: $0) }
    if let url = environment.value(variable) ?? profile?["ec2_metadata_service_endpoint"] {
      do throws(ServiceEndpointError) {
        return try ServiceEndpoint(url: url, namedBy: variable)
      } catch {
        throw failed("\(error)")
      }
    }
    let mode = mode ?? environment.value(variable + "_MODE") ?? profile?["ec2_metadata_service_endpoint_mode"]
    let url: String
    switch mode?.lowercased() {
    case nil, "ipv4": url = "http://169.254.169.254"
    case "ipv6": url = "http://[fd00:ec2::254]"
    default: throw failed("\(variable)_MODE is '\(mode ?? "")'; use IPv4 or IPv6")
    }
    do throws(ServiceEndpointError) {
      return try ServiceEndpoint(url: url)
    } catch {
      throw failed("\(error)")
    }
  }

  private var isEnabled: Bool {
    let environment = context.environment
    if environment.value("AWS_EC2_METADATA_DISABLED")?.lowercased() == "true" { return false }
    return environment.value("AWS_LAMBDA_FUNCTION_NAME", "SVCUID") == nil
  }

  /// Returns a session token; nil if nothing answers, as on any machine outside EC2.
  private func token(_ endpoint: ServiceEndpoint, until deadline: BootTime) throws(CredentialFailure)
    -> String?
  {
    var request = HTTPRequest(method: "PUT", url: endpoint.url("/latest/api/token"))
    request.headers = [HeaderField("x-aws-ec2-metadata-token-ttl-seconds", "21600")]
    // Without time to ask, don't conclude that this machine isn't EC2.
    guard context.timeLeft(until: deadline) > .zero else {
      throw CredentialFailure("the deadline passed before a session token was requested")
    }
    let response: HTTPResponse
    do throws(HTTPError) {
      response = try context.response(
        to: request, over: context.directExchange, until: deadline, limit: timeout)
    } catch .malformedResponse(let reason) {
      throw CredentialFailure("no session token: \(reason)")
    } catch .stopped {
      throw CredentialFailure(.stopped)
    } catch .withoutTLS(let reason) {
      // An endpoint is configured but not allowed: report it, don't skip the source.
      throw CredentialFailure(.withoutTLS(reason))
    } catch {
      return nil
    }
    guard response.status == 200 else {
      let reason = CredentialFailure(response, to: request).reason
      throw CredentialFailure("no session token: \(reason)", isTransient: response.status >= 500)
    }
    return String(decoding: response.body, as: UTF8.self)
  }

  private func fetch(
    _ endpoint: ServiceEndpoint, _ token: String, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let path = "/latest/meta-data/iam/security-credentials/"
    let roles = try get(endpoint.url(path), token, until: deadline)
    let role = String(decoding: roles.prefix { $0 != 0x0A }, as: UTF8.self)
    guard !role.isEmpty else { throw CredentialFailure("the instance has no role") }
    let body = try get(endpoint.url(path + percentEncoding(role.utf8)), token, until: deadline)
    if let document = try? JSONValue(parsing: body), let code = document["Code"]?.string, code != "Success" {
      let texts = ServerText(hiding: [token])
      let message = document["Message"]?.string ?? "no message"
      throw CredentialFailure("the service reports \(texts.shown(code)): \(texts.shown(message))")
    }
    return try Credentials(parsing: body, .container)
  }

  private func get(_ url: String, _ token: String, until deadline: BootTime) throws(CredentialFailure)
    -> [UInt8]
  {
    let request = HTTPRequest(method: "GET", url: url, headers: [HeaderField(.ec2MetadataToken, token)])
    return try context.retrying(until: deadline) { () throws(CredentialFailure) in
      let response: HTTPResponse
      do throws(HTTPError) {
        response = try self.context.response(
          to: request, over: self.context.directExchange, until: deadline, limit: self.timeout)
      } catch {
        throw CredentialFailure(error)
      }
      switch response.status {
      case 200: return response.body
      case 404: throw CredentialFailure("the instance has no role")
      // The session token has expired in between; the next attempt begins with a new one.
      case 401: throw CredentialFailure("the session token was rejected")
      default: throw CredentialFailure(response, to: request)
      }
    }
  }

  /// The value of `AWS_METADATA_SERVICE_TIMEOUT` in seconds; by default 1 s, because on most machines nothing answers.
  private var timeout: Duration {
    guard
      let text = context.environment.value("AWS_METADATA_SERVICE_TIMEOUT"), let seconds = Double(text),
      seconds > 0, seconds <= 60
    else { return .seconds(1) }
    return .seconds(seconds)
  }
}
