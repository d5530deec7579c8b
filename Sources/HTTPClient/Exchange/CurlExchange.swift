import CCurl
import Platform
import WireFormats

/// HTTP/1.1 over libcurl, one request at a time.
///
/// Starting libcurl, OpenSSL and the resolver takes 1.5 ms, so the first request starts them, not the initializer: a
/// process creates several exchanges and never uses most of them.
package final class CurlExchange: HTTPExchange {
  private let configuration: ConnectionConfiguration
  /// Returns whether the process was asked to stop.
  private let isStopRequested: () -> Bool
  private var session: CurlSession?

  /// Creates an exchange that gives up about a second after `isStopRequested` returns true.
  package init(
    _ configuration: ConnectionConfiguration, isStopRequested: @escaping () -> Bool = { false }
  ) throws(HTTPError) {
    _ = try configuration.negotiation()
    self.configuration = configuration
    self.isStopRequested = isStopRequested
  }

  package func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    let resolver = ResolverConfiguration(path: configuration.resolverFile)
    let used = try session(for: resolver)
    do throws(HTTPError) {
      return try used.exchange(request, timeout: timeout)
    } catch {
      // The choice of name servers depends on more than the file (nsswitch.conf, a network that came up).
      // A new handle reads them all again.
      if error.isAboutName { session = nil }
      throw error
    }
  }

  /// Returns the current session, or a new one if the resolver's configuration or the client certificate has changed.
  private func session(for resolver: ResolverConfiguration) throws(HTTPError) -> CurlSession {
    let pair = configuration.identity?.keeper.refreshed()
    if let session, session.resolver == resolver, session.pair === pair { return session }
    session = nil
    let made = try CurlSession(configuration, resolver, isStopRequested)
    made.pair = pair
    session = made
    return made
  }

  package func disconnect() { session = nil }
}

/// The state that a ``CurlExchange`` keeps from one request to the next.
///
/// One easy handle serves every request, so that its connections, TLS sessions and parsed certificate bundle (21 ms of
/// the first request with 140 certificates) are reused. Its options are reused, too, if a request needs the same ones
/// as the request before. TLS is always verified, from version 1.2 on.
///
/// Redirects are never followed, because a response could then send the credentials to any host. Paths are sent
/// unchanged, dot segments included, because the signature covers the path as written.
private final class CurlSession {
  private let handle: EasyHandle
  private let configuration: ConnectionConfiguration
  private let tls: TLSPreparation?
  private let connectTo: StringList
  // libcurl keeps pointers to these for as long as the options are set.
  private let sink: ResponseSink
  private let addressGate: AddressGate
  private let requestGate: RequestGate
  private let stopGate: StopGate
  private let limits: ConnectionLimits
  /// The version of the resolver's configuration that the handle uses.
  let resolver: ResolverConfiguration
  /// The client certificate and key of the session's connections; nil if there are none.
  var pair: KeyPair?
  /// What the handle's options are set for; nil if they must be set again.
  private var preparation: Preparation?
  /// The time limit in the handle's options.
  private var limit: Duration?
  /// The destination of the last request.
  private var destination: Destination?
  /// AWS hosts whose certificates the shipped authorities don't verify, such as those of another partition.
  private var hostsOfOtherAuthorities: Set<String> = []

  init(
    _ configuration: ConnectionConfiguration, _ resolver: ResolverConfiguration,
    _ isStopRequested: @escaping () -> Bool
  ) throws(HTTPError) {
    self.resolver = resolver
    limits = ConnectionLimits(connecting: configuration.connectTimeout)
    sink = ResponseSink(
      headLimit: configuration.responseHeadLimit, bodyLimit: configuration.responseBodyLimit)
    addressGate = AddressGate(configuration.allowedAddresses, limits)
    requestGate = RequestGate(limits)
    stopGate = StopGate(limits, isStopRequested)
    let handle = try EasyHandle()
    let connectTo = try StringList(configuration.connectTo)
    tls = try TLSPreparation(configuration)
    self.configuration = configuration
    self.handle = handle
    self.connectTo = connectTo
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    let start = BootTime.now
    let destination = destination(request.url)
    guard destination.isOfAmazon, !hostsOfOtherAuthorities.contains(destination.host) else {
      return try exchangeOnce(request, timeout: timeout, destination, amazonRoots: false)
    }
    do throws(HTTPError) {
      return try exchangeOnce(request, timeout: timeout, destination, amazonRoots: true)
    } catch {
      guard error.isAboutTheirCertificate else { throw error }
      // The handshake failed, so nothing was sent yet.
      hostsOfOtherAuthorities.insert(destination.host)
      return try exchangeOnce(
        request, timeout: timeout - start.duration(to: .now), destination, amazonRoots: false)
    }
  }

  private func exchangeOnce(
    _ request: HTTPRequest, timeout: Duration, _ destination: Destination, amazonRoots: Bool
  ) throws(HTTPError) -> HTTPResponse {
    guard timeout > .zero else { throw .timedOut(.connecting, "the deadline had already passed") }
    let method = Method(of: request)
    let fields = try headerFields(of: request)
    try prepare(Preparation(destination: destination, amazonRoots: amazonRoots, method: method))
    if timeout != limit {
      try handle.limit(to: timeout, configuration)
      limit = timeout
    }
    try handle.set(CURLOPT_HTTPHEADER, to: fields)
    sink.begin()
    limits.begin()
    addressGate.begin(configuration.addressRule(secure: destination.isSecure))
    requestGate.begin()
    stopGate.begin()
    tls?.begin(hasSecureProxy: destination.hasSecureProxy)
    let code = method == .get ? handle.perform() : try handle.perform(sending: request.body)
    // libcurl has a pointer to `fields`, so they must live until here.
    withExtendedLifetime(fields) {}
    guard code == CURLE_OK else { throw error(for: code, destination) }
    // libcurl also accepts the end of the connection as the end of the head.
    guard sink.isHeadComplete else {
      throw .connectionLost("the answer ended before its header was complete")
    }
    return HTTPResponse(
      status: handle.number(CURLINFO_RESPONSE_CODE), fields: sink.fields, body: sink.body)
  }

  private func destination(_ url: String) -> Destination {
    if let destination, destination.url == url { return destination }
    let made = Destination(url, configuration)
    destination = made
    return made
  }

  /// Sets every option that doesn't belong to a single request, unless the options already match `wanted`. This saves
  /// 40 calls for a request like the one before.
  private func prepare(_ wanted: Preparation) throws(HTTPError) {
    guard preparation != wanted else { return }
    preparation = nil
    limit = nil
    try handle.reset()
    try handle.set(CURLOPT_URL, to: wanted.destination.url)
    try handle.prepareConnections(
      secure: wanted.destination.isSecure, configuration, amazonRoots: wanted.amazonRoots)
    try handle.openSockets(through: addressGate)
    try handle.sendOnce(through: requestGate)
    try handle.watch(through: stopGate)
    try handle.deliver(to: sink)
    if let tls { try handle.prepareTLS(through: tls) }
    if !configuration.connectTo.isEmpty { try handle.set(CURLOPT_CONNECT_TO, to: connectTo) }
    switch wanted.method {
    case .get: try handle.set(CURLOPT_HTTPGET, to: true)
    case .sending(let name):
      try handle.set(CURLOPT_POST, to: true)
      try handle.set(CURLOPT_CUSTOMREQUEST, to: name)
    }
    preparation = wanted
  }

  /// Returns the header fields as libcurl expects them: a name without a value removes a header that libcurl would add.
  private func headerFields(of request: HTTPRequest) throws(HTTPError) -> StringList {
    guard isToken(request.method) else { throw .invalidRequest("'\(request.method)' is not a valid method") }
    var fields = try StringList()
    for field in request.headers {
      let (name, value) = (field.name.text, field.value)
      guard isToken(name) else { throw .invalidRequest("'\(name)' is not a valid header name") }
      guard isFieldValue(value) else {
        throw .invalidRequest("the value of the header \(name) contains a control character")
      }
      try fields.append(name, value.isEmpty ? ";" : ": ", value)
    }
    for implicit in [HeaderName.accept, .expect, .contentType]
    where !request.headers.contains(where: { $0.name == implicit }) {
      try fields.append(implicit.text, ":", "")
    }
    return fields
  }

  /// What the handle's options depend on, apart from the configuration and the single request.
  private struct Preparation: Equatable {
    let destination: Destination
    let amazonRoots: Bool
    let method: Method
  }

  /// A URL, and the properties of the connection that follow from it.
  private struct Destination: Equatable {
    let url: String
    let isSecure: Bool
    let host: String
    /// Whether to try the shipped certificate authorities first.
    let isOfAmazon: Bool
    let hasSecureProxy: Bool

    init(_ url: String, _ configuration: ConnectionConfiguration) {
      self.url = url
      isSecure = HTTPClient.isSecure(url)
      host = HTTPClient.host(of: url)
      isOfAmazon = configuration.usesAmazonRoots(for: host)
      hasSecureProxy = configuration.usesSecureProxy(for: url)
    }
  }

  private enum Method: Equatable {
    /// A GET request without a body.
    case get
    /// A request with a body, which may be empty.
    case sending(String)

    init(of request: HTTPRequest) {
      self = request.method == "GET" && request.body.isEmpty ? .get : .sending(request.method)
    }
  }

  private func error(for code: CURLcode, _ destination: Destination) -> HTTPError {
    if stopGate.hasStopped { return .stopped }
    if let failure = tls?.failure { return failure }
    if let part = sink.excess {
      let limit = part == .head ? configuration.responseHeadLimit : configuration.responseBodyLimit
      return .responseTooLarge(part, limit: limit)
    }
    if requestGate.refused {
      return .connectionLost("a reused connection broke before any of the answer arrived")
    }
    if let refusal = configuration.refusal(addressGate, secure: destination.isSecure) { return refusal }
    let proxyStatus = handle.number(CURLINFO_HTTP_CONNECTCODE)
    if proxyStatus >= 300 {
      return .proxyRefused(status: proxyStatus, handle.reason(for: code))
    }
    if let error = handle.exceededLimit(code, limits, to: destination.url, configuration) { return error }
    // 1 is libcurl's "not verified yet"; higher values are OpenSSL's reasons (X509_STORE_CTX_get_error(3)).
    if code == CURLE_SSL_CONNECT_ERROR && handle.number(CURLINFO_SSL_VERIFYRESULT) > 1 {
      return .notTrusted(handle.reason(for: code))
    }
    let error = HTTPError(
      code: code, reason: handle.reason(for: code), wasSent: requestGate.hasBegun,
      trust: configuration.trust)
    if !requestGate.hasBegun {
      let named = handle.namingProxy(
        in: error, destination.url, configuration, tunnels: destination.isSecure)
      if case .proxyFailed = named { return named }
    }
    // With TLS 1.3, a server rejects a certificate after the handshake (RFC 8446, section 4.4.2.4), and the reset that
    // follows may arrive before the alert with the reason.
    let hasJustShownCertificate =
      configuration.identity != nil && handle.number(CURLINFO_NUM_CONNECTS) > 0 && sink.isUntouched
    return hasJustShownCertificate ? error.withCertificateInDoubt : error
  }
}

/// Returns whether `text` is a token (RFC 9110, section 5.6.2), as methods and header names must be.
private func isToken(_ text: String) -> Bool {
  let bytes = text.utf8.span
  for index in bytes.indices where !isTokenCharacter(bytes[index]) { return false }
  return !bytes.isEmpty
}

/// Returns whether `text` has no control character except the tab (RFC 9110, section 5.5).
private func isFieldValue(_ text: String) -> Bool {
  unsafe text.utf8.span.withUnsafeBufferPointer { bytes in
    // No early exit, so that the compiler generates vector instructions.
    var found: UInt8 = 0
    for index in bytes.indices {
      let byte = unsafe bytes[index]
      found |= (byte < 0x20 ? byte ^ 0x09 : 0) | (byte == 0x7F ? 1 : 0)
    }
    return found == 0
  }
}
