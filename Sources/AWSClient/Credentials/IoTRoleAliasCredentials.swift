package import HTTPClient
package import Platform
import WireFormats

/// Credentials for a device that has nothing but an X.509 certificate: the AWS IoT credentials provider gives them
/// for a role alias ("Authorizing direct calls to AWS services using AWS IoT Core credential provider").
package final class IoTRoleAliasCredentials: CredentialSource {
  package let name = "AWS IoT role alias"
  private let context: CredentialContext
  private var exchange: (any HTTPExchange)?
  private var cache = CredentialCache()

  /// Reads `DEFENDER_ROLE_ALIAS`, `DEFENDER_CREDENTIALS_ENDPOINT`, `DEFENDER_CERTIFICATE_FILE`,
  /// `DEFENDER_PRIVATE_KEY_FILE`, and for an encrypted key `DEFENDER_PRIVATE_KEY_PASSWORD_FILE`.
  ///
  /// `exchange` is what talks as the device; without one, the first use makes it from the variables.
  package init(_ context: CredentialContext, exchange: (any HTTPExchange)? = nil) {
    self.context = context
    self.exchange = exchange
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    guard let alias = context.environment.value("DEFENDER_ROLE_ALIAS") else {
      guard context.environment.value("DEFENDER_CREDENTIALS_ENDPOINT") != nil else { return nil }
      throw failed(
        "DEFENDER_CREDENTIALS_ENDPOINT is set, but DEFENDER_ROLE_ALIAS isn't. Set it to the name of the role alias, or "
          + "remove DEFENDER_CREDENTIALS_ENDPOINT")
    }
    let request = try request(alias)
    return try cache.credentials(at: now, from: name, context) { () throws(CredentialFailure) in
      try context.retrying(until: deadline) { () throws(CredentialFailure) in
        try self.fetch(request, until: deadline)
      }
    }
  }

  package func forget(_ credentials: Credentials) -> Bool { cache.forget(credentials) }

  package func renew() {
    exchange = nil
    cache = CredentialCache()
  }

  private func request(_ alias: String) throws(CredentialError) -> HTTPRequest {
    let variable = "DEFENDER_CREDENTIALS_ENDPOINT"
    guard let host = context.environment.value(variable) else {
      throw failed(
        "\(variable) isn't set; `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` tells it")
    }
    do throws(ServiceEndpointError) {
      let endpoint = try ServiceEndpoint(
        url: host.includes("://") ? host : "https://\(host)", namedBy: variable)
      guard endpoint.isSecure else {
        throw .malformedURL(variable: variable, URLError(url: host, reason: "it isn't https"))
      }
      let path = "/role-aliases/\(percentEncoding(alias.utf8))/credentials"
      var request = HTTPRequest(method: "GET", url: endpoint.url(path))
      if let thing = context.environment.value("DEFENDER_THING_NAME", "AWS_IOT_THING_NAME") {
        request.headers.append(HeaderField("x-amzn-iot-thingname", thing))
      }
      return request
    } catch {
      throw failed("\(error)")
    }
  }

  private func fetch(_ request: HTTPRequest, until deadline: BootTime) throws(CredentialFailure)
    -> Credentials
  {
    let response: HTTPResponse
    do throws(HTTPError) {
      let exchange = try deviceExchange(until: deadline)
      response = try context.response(to: request, over: exchange, until: deadline)
    } catch {
      throw CredentialFailure(error)
    }
    guard response.status == 200 else { throw CredentialFailure(response, to: request) }
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: response.body)
    } catch {
      throw CredentialFailure("the answer is \(error)", isTransient: true)
    }
    guard let credentials = document["credentials"] else {
      throw CredentialFailure("the answer has no credentials")
    }
    return try Credentials(credentials, .iot)
  }

  private func deviceExchange(until deadline: BootTime) throws(HTTPError) -> any HTTPExchange {
    if let exchange { return exchange }
    var configuration = ConnectionConfiguration(context.environment)
    configuration.identity = try identity(until: deadline)
    let time = context.time
    let made = try CurlExchange(
      configuration, isStopRequested: { time.shutdownSignal?.isRequested == true })
    exchange = made
    return made
  }

  private func identity(until deadline: BootTime) throws(HTTPError) -> ClientIdentity {
    do throws(CredentialError) {
      let identity = try ClientIdentity(
        context.environment,
        readFile: { (path) throws(Errno) in try self.context.contents(of: path, until: deadline) })
      guard let identity else {
        throw failed("DEFENDER_CERTIFICATE_FILE and DEFENDER_PRIVATE_KEY_FILE aren't set")
      }
      if let warning = identity.warning { context.log.warn(warning) }
      return identity
    } catch {
      throw .invalidRequest("\(error)")
    }
  }

  private func failed(_ reason: String) -> CredentialError { .sourceFailed(source: name, reason: reason) }
}
