package import HTTPClient
package import Platform

/// What credential sources share: the environment, HTTP exchanges, the clock and the log.
package struct CredentialContext {
  let environment: Environment
  /// How to connect to AWS services. A source that creates a separate exchange uses it.
  let connection: ConnectionConfiguration
  /// The exchange for AWS services; it uses the proxy if one is configured.
  let exchange: any HTTPExchange
  /// The exchange for services on this machine or beside it; it never uses a proxy.
  let directExchange: any HTTPExchange
  /// Like ``directExchange``, but connects only to addresses that may be asked for credentials without TLS.
  var credentialHostExchange: any HTTPExchange
  let time: any Waiter
  let log: Log
  private static let backoff = Backoff(first: .milliseconds(200), cap: .seconds(20), jitter: 0)
  /// Reads a file. Fails with `EAGAIN` if the file is a pipe that doesn't end within `patience`.
  package var readFile: (_ path: String, _ patience: Duration) throws(Errno) -> [UInt8] = {
    (path, patience) throws(Errno) in
    try Platform.readFile(path, limit: 1 << 20, patience: patience)
  }

  package init(
    _ environment: Environment, exchange: any HTTPExchange, time: any Waiter, log: Log
  ) {
    self.environment = environment
    connection = ConnectionConfiguration(environment)
    self.exchange = exchange
    directExchange = exchange
    credentialHostExchange = exchange
    self.time = time
    self.log = log
  }

  /// Creates a context whose exchanges use libcurl as `connection` configures it.
  package init(
    _ environment: Environment, _ connection: ConnectionConfiguration, time: any Waiter, log: Log
  ) throws(HTTPError) {
    self.connection = connection
    var configuration = connection
    let isStopRequested = { time.shutdownSignal?.isRequested == true }
    self.environment = environment
    exchange = try CurlExchange(configuration, isStopRequested: isStopRequested)
    configuration.proxy = .none
    directExchange = try CurlExchange(configuration, isStopRequested: isStopRequested)
    configuration.allowedAddresses = .credentialHosts
    credentialHostExchange = try CurlExchange(configuration, isStopRequested: isStopRequested)
    self.time = time
    self.log = log
  }

  /// Returns the time from now to `deadline`: zero or negative if it has passed.
  func timeLeft(until deadline: BootTime) -> Duration { time.bootTime.duration(to: deadline) }

  /// Returns the response to `request`; takes at most `limit`, and ends at `deadline` if that comes first.
  func response(
    to request: HTTPRequest, over exchange: any HTTPExchange, until deadline: BootTime,
    limit: Duration = .seconds(10)
  ) throws(HTTPError) -> HTTPResponse {
    let left = timeLeft(until: deadline)
    guard left > .zero else { throw .timedOut(.connecting, "the deadline had already passed") }
    return try exchange.exchange(request, timeout: min(left, limit))
  }

  /// Returns the contents of the file at `path`.
  ///
  /// A pipe is read for at most 5 s, and no longer than until `deadline`. Reading a regular file never waits, so it
  /// works even if no time is left.
  func contents(of path: String, until deadline: BootTime) throws(Errno) -> [UInt8] {
    try readFile(path, min(timeLeft(until: deadline), .seconds(5)))
  }

  /// Repeats `call` while its failure is transient, with at most three attempts, until `deadline`.
  func retrying<Value>(
    until deadline: BootTime, _ call: () throws(CredentialFailure) -> Value
  ) throws(CredentialFailure) -> Value {
    var attempt = 1
    while true {
      do throws(CredentialFailure) {
        return try call()
      } catch {
        let delay = Self.backoff.ceiling(afterFailures: attempt)
        guard error.isTransient, attempt < 3, delay < timeLeft(until: deadline) else {
          throw error
        }
        if time.wait(until: time.bootTime.advanced(by: delay)) != .onTime { throw error }
        attempt += 1
      }
    }
  }
}

/// Why one attempt to get credentials failed.
struct CredentialFailure: Error {
  let reason: String
  let isTransient: Bool
  /// Whether no request was sent because the proxy failed.
  let isOfProxy: Bool

  init(_ reason: String, isTransient: Bool = false, isOfProxy: Bool = false) {
    self.reason = reason
    self.isTransient = isTransient
    self.isOfProxy = isOfProxy
  }

  init(_ error: HTTPError) {
    self.init("\(error)", isTransient: error.isTransient, isOfProxy: error.isOfProxy)
  }

  /// Describes the error `response` to `request`, with `secrets` and the request's own secrets masked.
  init(_ response: HTTPResponse, to request: HTTPRequest, hiding secrets: [String] = []) {
    let secrets = request.secrets + secrets
    let error = ServiceError(response, hiding: secrets)
    var reason = "\(error)"
    // Some services answer in plain text. Redact before truncating; otherwise the start of a secret could remain.
    if error.message == nil, let text = String(validating: response.body, as: UTF8.self), !text.isEmpty {
      reason += ": " + escapingControlCharacters(ServerText(hiding: secrets).shown(text, limit: 200))
    }
    self.init(reason, isTransient: error.retryReason != nil)
  }
}
