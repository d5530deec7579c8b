package import HTTPClient
package import Platform
import WireFormats

/// A role alias of AWS IoT, and what the credentials provider needs to issue credentials for it.
package struct IoTRoleAlias: Sendable {
  package let name: String
  /// The endpoint of the account's credentials provider.
  package let endpoint: ServiceEndpoint
  /// The thing name to send with the request; nil to send none.
  package let thingName: String?
  /// The files of the device's certificate and key.
  package let device: ClientIdentityFiles

  package init(name: String, endpoint: ServiceEndpoint, thingName: String?, device: ClientIdentityFiles) {
    self.name = name
    self.endpoint = endpoint
    self.thingName = thingName
    self.device = device
  }

  fileprivate var request: HTTPRequest {
    var request = HTTPRequest(
      method: "GET", url: endpoint.url("/role-aliases/\(percentEncoding(name.utf8))/credentials"))
    if let thingName { request.headers.append(HeaderField("x-amzn-iot-thingname", thingName)) }
    return request
  }
}

extension ServiceEndpoint {
  /// Creates the endpoint of a credentials provider from a host name or an `https` URL.
  ///
  /// Errors name `variable` as the source of `text`.
  package init(credentialsProvider text: String, namedBy variable: String) throws(ServiceEndpointError) {
    try self.init(url: URLParts(text).scheme == nil ? "https://\(text)" : text, namedBy: variable)
    guard isSecure else {
      throw .malformedURL(variable: variable, URLError(url: text, reason: "it must begin with https://"))
    }
  }
}

/// Credentials for a device that has only an X.509 certificate: the AWS IoT credentials provider issues them for a role
/// alias ("Authorizing direct calls to AWS services using AWS IoT Core credential provider").
package final class IoTRoleAliasCredentials: CredentialSource {
  package let name = "AWS IoT role alias"
  private let alias: IoTRoleAlias?
  private let context: CredentialContext
  private var exchange: (any HTTPExchange)?
  /// The device's certificate and key; nil until the first request. It outlives ``exchange``, so that the former pair stays in
  /// use if the files can't be used after ``renew()``.
  package private(set) var identity: ClientIdentity?
  private var cache = CredentialCache()

  /// Creates the source for `alias`; if that is nil, the source isn't configured.
  ///
  /// `exchange` authenticates as the device. If it is nil, the first use creates one from the device's files.
  package init(_ alias: IoTRoleAlias?, _ context: CredentialContext, exchange: (any HTTPExchange)? = nil) {
    self.alias = alias
    self.context = context
    self.exchange = exchange
  }

  package func credentials(
    at now: WallTime, until deadline: BootTime
  ) throws(CredentialError) -> Credentials? {
    guard let alias else { return nil }
    return try cache.credentials(at: now, from: name, context) { () throws(CredentialFailure) in
      try context.retrying(until: deadline) { () throws(CredentialFailure) in
        try self.fetch(for: alias, until: deadline)
      }
    }
  }

  package func forget(_ credentials: Credentials) -> Bool { cache.forget(credentials) }

  package func renew() {
    exchange = nil
    identity?.keeper.readAgain()
    cache = CredentialCache()
  }

  private func fetch(
    for alias: IoTRoleAlias, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let request = alias.request
    let response: HTTPResponse
    do throws(HTTPError) {
      let exchange = try exchange(as: alias.device, until: deadline)
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

  private func exchange(
    as device: ClientIdentityFiles, until deadline: BootTime
  ) throws(HTTPError) -> any HTTPExchange {
    if let exchange { return exchange }
    var connection = context.connection
    connection.identity = try identity(device, until: deadline)
    let time = context.time
    let made = try CurlExchange(connection, isStopRequested: { time.shutdownSignal?.isRequested == true })
    exchange = made
    return made
  }

  private func identity(
    _ device: ClientIdentityFiles, until deadline: BootTime
  ) throws(HTTPError) -> ClientIdentity {
    if let identity { return identity }
    do throws(ClientIdentityError) {
      let identity = try ClientIdentity(
        device, readFile: { (path) throws(Errno) in try self.context.contents(of: path, until: deadline) })
      identity.report(to: context.log)
      self.identity = identity
      return identity
    } catch {
      throw .invalidRequest("\(error)")
    }
  }
}
