import HTTPClient
import Platform
import WireFormats

/// The two calls of the AWS Security Token Service that return credentials.
struct SecurityTokenService {
  private let endpoint: ServiceEndpoint
  private let region: String

  /// Uses the endpoint of `region`; without a region, the endpoint that all regions share.
  init(_ environment: Environment, region: String?) throws(CredentialFailure) {
    self.region = region ?? "us-east-1"
    do throws(ServiceEndpointError) {
      for variable in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"] {
        if let url = environment.value(variable) {
          endpoint = try ServiceEndpoint(url: url, namedBy: variable)
          return
        }
      }
      if let region, !isHostLabel(region) { throw .malformedRegion(region) }
      let host = region.map { "sts.\($0).\(Partition(ofRegion: $0).suffix)" } ?? "sts.amazonaws.com"
      endpoint = try ServiceEndpoint(url: "https://\(host)")
    } catch {
      throw CredentialFailure("\(error)")
    }
  }

  /// Calls `action` with `parameters`, and signs the request if there are `credentials`.
  func call(
    _ action: String, _ parameters: [(String, String)], signedWith credentials: Credentials? = nil,
    _ context: CredentialContext, at now: WallTime, until deadline: BootTime
  ) throws(CredentialFailure) -> Credentials {
    let form = [("Action", action), ("Version", "2011-06-15")] + parameters
    let body = form.map { "\($0)=\(percentEncoding($1.utf8))" }.joined(separator: "&")
    var request = HTTPRequest(
      method: "POST", url: endpoint.url("/"),
      headers: [HeaderField(.contentType, "application/x-www-form-urlencoded")], body: Array(body.utf8))
    if let credentials { try sign(&request, credentials, at: now) }
    let response: HTTPResponse
    do throws(HTTPError) {
      response = try context.response(to: request, over: context.exchange, until: deadline)
    } catch {
      throw CredentialFailure(error)
    }
    let text = String(decoding: response.body, as: UTF8.self)
    guard response.isSuccess else {
      // The body contains the identity provider's token, which isn't among `request.secrets`.
      let secrets = parameters.filter { $0.0 == "WebIdentityToken" }.map(\.1) + (credentials?.secrets ?? [])
      guard let code = xmlText("Code", in: text) else {
        throw CredentialFailure(response, to: request, hiding: secrets)
      }
      let texts = ServerText(hiding: request.secrets + secrets)
      let isTransient = response.status >= 500 || code == "IDPCommunicationError" || code == "Throttling"
      let message = texts.shown(xmlText("Message", in: text) ?? "no message")
      throw CredentialFailure(
        "\(action): status \(response.status) \(texts.shown(code)): \(message)", isTransient: isTransient)
    }
    guard
      let accessKeyID = xmlText("AccessKeyId", in: text),
      let secretAccessKey = xmlText("SecretAccessKey", in: text),
      let sessionToken = xmlText("SessionToken", in: text),
      let expiration = xmlText("Expiration", in: text).flatMap({ WallTime(iso8601: $0) })
    else { throw CredentialFailure("\(action): the answer contains no credentials") }
    return Credentials(
      accessKeyID: accessKeyID, secretAccessKey: Secret(secretAccessKey),
      sessionToken: Secret(sessionToken), expiration: expiration)
  }

  private func sign(
    _ request: inout HTTPRequest, _ credentials: Credentials, at now: WallTime
  ) throws(CredentialFailure) {
    do {
      var signer = try RequestSigner(region: region, service: "sts")
      try signer.sign(&request, with: credentials, at: now)
    } catch {
      throw CredentialFailure("\(error)")
    }
  }
}
