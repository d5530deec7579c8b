import Glibc
import HTTPClient
package import Platform
import WireFormats

/// Credentials from the endpoint that a container's environment names.
///
/// The variables are `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`, and
/// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` for the token. Amazon ECS, EKS Pod
/// Identity, AWS Lambda SnapStart and the Token Exchange Service of AWS IoT Greengrass work this way ("Container
/// credential provider", AWS SDKs and Tools Reference Guide).
package final class ContainerCredentials: CredentialSource {
  package let name = "container"
  private let context: CredentialContext
  private var cache = CredentialCache()

  package init(_ context: CredentialContext) {
    self.context = context
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    guard let url = try Self.url(context.environment) else { return nil }
    return try cache.credentials(at: now, from: name, context) { () throws(CredentialFailure) in
      try context.retrying(until: deadline) { () throws(CredentialFailure) in
        try self.fetch(url, until: deadline)
      }
    }
  }

  package func forget(_ credentials: Credentials) -> Bool { cache.forget(credentials) }

  /// Returns the URL of the credentials that the environment names; nil if it names none.
  ///
  /// Without TLS, the host must be this machine or one of AWS's credential addresses beside it. The only name allowed
  /// is `localhost`: a resolver could map any other name to any address.
  package static func url(_ environment: Environment) throws(CredentialError) -> String? {
    if let path = environment.value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
      guard path.hasPrefix("/") else {
        throw failed("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is '\(path)'; it must begin with a slash")
      }
      return "http://169.254.170.2\(path)"
    }
    guard let url = environment.value("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
    let target: HTTPURL
    do throws(URLError) {
      target = try HTTPURL(url)
    } catch {
      throw failed("AWS_CONTAINER_CREDENTIALS_FULL_URI: \(error)")
    }
    guard target.isSecure || target.host == "localhost" || isCredentialHost(literal: target.host) else {
      throw failed(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI names the host \(target.host). Use https, or a host allowed without it: localhost, "
          + "a loopback address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]")
    }
    return url
  }

  private static func failed(_ reason: String) -> CredentialError {
    .sourceFailed(source: "container", reason: reason)
  }

  private func fetch(_ url: String, until deadline: BootTime) throws(CredentialFailure) -> Credentials {
    var request = HTTPRequest(method: "GET", url: url, headers: [HeaderField(.accept, "application/json")])
    if let token = try token(until: deadline) { request.headers.append(HeaderField(.authorization, token)) }
    let exchange = isSecure(url) ? context.directExchange : context.credentialHostExchange
    let response: HTTPResponse
    do throws(HTTPError) {
      response = try context.response(to: request, over: exchange, until: deadline)
    } catch {
      throw CredentialFailure(error)
    }
    guard response.status == 200 else { throw CredentialFailure(response, to: request) }
    return try Credentials(parsing: response.body, .container)
  }

  /// Returns the authorization token. Reads its file each time, because the file is updated regularly.
  private func token(until deadline: BootTime) throws(CredentialFailure) -> String? {
    var token = context.environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    var origin = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    if let path = context.environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
      origin = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE \(path)"
      do throws(Errno) {
        token = String(decoding: try context.contents(of: path, until: deadline), as: UTF8.self)
      } catch {
        throw CredentialFailure("\(origin): \(error.ofFile)")
      }
    }
    guard let token else { return nil }
    guard !token.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
      throw CredentialFailure("\(origin) contains a line end or another control character")
    }
    return token
  }
}

/// Returns whether `host` is an IP address (IPv6 in brackets) that may be asked for credentials without TLS.
private func isCredentialHost(literal host: String) -> Bool {
  var four = in_addr()
  if unsafe inet_pton(AF_INET, host, &four) == 1 { return isCredentialHost(UInt32(bigEndian: four.s_addr)) }
  guard host.hasPrefix("["), host.hasSuffix("]") else { return false }
  var six = in6_addr()
  guard unsafe inet_pton(AF_INET6, String(host.dropFirst().dropLast()), &six) == 1 else { return false }
  return unsafe withUnsafeBytes(of: six) { unsafe isCredentialHost(Array($0)) }
}
