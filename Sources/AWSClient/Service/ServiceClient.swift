package import HTTPClient
package import Platform
import WireFormats

/// Sends requests to one AWS service.
///
/// Requests are signed with AWS credentials, or a client certificate authenticates the connection. Retries follow the standard
/// mode of the AWS SDKs. Each attempt has a new signature, and none starts if too little time is left. A request whose response
/// was lost is sent again, so the service may get it twice, but never less than once.
package final class ServiceClient {
  /// The time limit of one attempt, unless the deadline comes first: the limits of HTTPClient, which are 10 s for resolving
  /// the name and 5 s for connecting.
  package static let standardAttemptTimeout: Duration = .seconds(15)
  /// The least time left for which a retry is worthwhile: a connection and a response over a slow network.
  package static let shortestRetry: Duration = .milliseconds(500)

  /// The source of the credentials for signing; nil if a client certificate authenticates the device.
  package let credentials: (any CredentialSource)?
  package let time: any Waiter
  package let attemptTimeout: Duration
  private let exchange: any HTTPExchange
  private let log: Log
  private let jitter: () -> Double
  private let scope: (region: String, service: String)?
  /// Created by the first request: OpenSSL takes 0.7 ms to start, and the start of a process shouldn't wait for that.
  private var signer: RequestSigner?
  private var quota = RetryQuota()
  private var skew = ClockSkew()
  private var hasWarnedOfClock = false

  /// Credentials, and the region and service for which they sign. A service's name is that of its signatures, such as `iotdata`.
  package struct Signing {
    let region: String
    let service: String
    let credentials: any CredentialSource

    package init(region: String, service: String, credentials: any CredentialSource) {
      self.region = region
      self.service = service
      self.credentials = credentials
    }
  }

  /// Creates a client that signs requests; with nil, `exchange` presents a client certificate instead.
  ///
  /// `jitter` returns a number from 0 to 1, which spreads the retries of many clients.
  package init(
    _ signing: Signing?, _ exchange: any HTTPExchange, time: any Waiter, log: Log,
    attemptTimeout: Duration = standardAttemptTimeout, jitter: @escaping () -> Double = { .random(in: 0..<1) }
  ) {
    scope = signing.map { ($0.region, $0.service) }
    credentials = signing?.credentials
    self.exchange = exchange
    self.time = time
    self.log = log
    self.attemptTimeout = attemptTimeout
    self.jitter = jitter
  }

  /// Returns the successful response to `request`, which must not be signed, and the number of attempts.
  package func send(
    _ request: HTTPRequest, until deadline: BootTime
  ) throws(ServiceFailure) -> (response: HTTPResponse, attempts: Int) {
    var call = Call(request: request, deadline: deadline)
    do throws(SigningError) {
      try makeSigner()
      call.payloadHash = try signer?.payloadHash(request.body)
    } catch {
      throw ServiceFailure(.signing(error), attempts: 0)
    }
    while true {
      switch try attempt(&call) {
      case .success(let response):
        quota.giveBack(call.lastCost)
        return (response, call.attempts)
      case .failure(let failure):
        let error = ServiceFailure(failure.cause, attempts: call.attempts)
        guard let delay = delay(after: failure, &call) else { throw error }
        log.debug("Retrying in \(delay.inWords): \(error.reason).")
        if delay > .zero, time.wait(until: time.bootTime.advanced(by: delay)) != .onTime { throw error }
      }
    }
  }

  package func disconnect() { exchange.disconnect() }

  /// The state of one request across its attempts.
  private struct Call {
    let request: HTTPRequest
    let deadline: BootTime
    var payloadHash: Digest?
    var attempts = 0
    /// What the last retry cost of the quota; nil if there was no retry.
    var lastCost: Int?
    var hasForgottenCredentials = false
    var usedCredentials: Credentials?
    var usedOffset: Duration = .zero
  }

  private struct FailedAttempt: Error {
    let cause: ServiceFailure.Cause
    var response: HTTPResponse?

    var retryReason: RetryReason? {
      switch cause {
      case .exchange(let error): error.isTransient ? .transient : nil
      case .refused(let error): error.retryReason
      default: nil
      }
    }
  }

  private func attempt(_ call: inout Call) throws(ServiceFailure) -> Result<HTTPResponse, FailedAttempt> {
    let request = try signedRequest(&call)
    let timeout = min(attemptTimeout, time.bootTime.duration(to: call.deadline))
    guard timeout > .zero else { throw ServiceFailure(.noTimeLeft, attempts: call.attempts) }
    let sent = (wall: time.wallTime, boot: time.bootTime)
    call.attempts += 1
    do throws(HTTPError) {
      let response = try exchange.exchange(request, timeout: timeout)
      if credentials != nil {
        skew.observe(response, sent: sent.wall, duration: sent.boot.duration(to: time.bootTime))
        warnOfClock()
      }
      if response.isSuccess { return .success(response) }
      let secrets = request.secrets + (call.usedCredentials?.secrets ?? [])
      return .failure(
        FailedAttempt(cause: .refused(ServiceError(response, hiding: secrets)), response: response))
    } catch let failure {
      return .failure(FailedAttempt(cause: .exchange(failure)))
    }
  }

  /// Returns the request for one attempt. If requests are signed, it is signed with the current time.
  private func signedRequest(_ call: inout Call) throws(ServiceFailure) -> HTTPRequest {
    var request = call.request
    if let credentials {
      guard time.bootTime < call.deadline else { throw ServiceFailure(.noTimeLeft, attempts: call.attempts) }
      do throws(CredentialError) {
        let found = try credentials.credentials(at: correctedTime, until: call.deadline)
        guard let found else { throw .noSourceConfigured(tried: [credentials.name]) }
        call.usedCredentials = found
      } catch let failure {
        throw ServiceFailure(.credentials(failure), attempts: call.attempts)
      }
    }
    if let usedCredentials = call.usedCredentials {
      call.usedOffset = skew.offset
      do throws(SigningError) {
        try signer?.sign(&request, with: usedCredentials, at: correctedTime, payloadHash: call.payloadHash)
      } catch let failure {
        throw ServiceFailure(.signing(failure), attempts: call.attempts)
      }
    }
    request.headers.append(HeaderField(.userAgent, userAgent))
    return request
  }

  private func makeSigner() throws(SigningError) {
    guard let scope, !hasSigner else { return }
    do throws(CryptographyError) {
      signer = try RequestSigner(region: scope.region, service: scope.service)
    } catch {
      throw .cryptography(error)
    }
  }

  private var hasSigner: Bool {
    switch signer {
    case .some: true
    case .none: false
    }
  }

  private var correctedTime: WallTime { time.wallTime.advanced(by: skew.offset) }

  /// Returns how long to wait before the next attempt; nil if there must be none.
  private func delay(after failure: FailedAttempt, _ call: inout Call) -> Duration? {
    guard call.attempts < StandardRetry.maximumAttempts else { return nil }
    let left = time.bootTime.duration(to: call.deadline)
    if case .refused(let error) = failure.cause, let response = failure.response {
      if left >= Self.shortestRetry, canCorrect(error, response, &call) { return .zero }
    }
    guard let reason = failure.retryReason else { return nil }
    let delay = StandardRetry.delay(
      afterAttempt: call.attempts, reason, random: jitter(),
      retryAfter: failure.response?.header(.amzRetryAfter))
    guard delay + Self.shortestRetry <= left, let cost = quota.take(for: reason) else { return nil }
    call.lastCost = cost
    return delay
  }

  /// Returns whether the refusal was about our clock or our credentials, and the next attempt can use other ones.
  private func canCorrect(_ error: ServiceError, _ response: HTTPResponse, _ call: inout Call) -> Bool {
    if skew.explains(error, response, used: call.usedOffset) { return true }
    guard
      error.saysCredentialsAreStale, !call.hasForgottenCredentials, let used = call.usedCredentials,
      used.sessionToken != nil, credentials?.forget(used) == true
    else { return false }
    call.hasForgottenCredentials = true
    log.info("AWS rejected the temporary credentials. Getting new ones.")
    return true
  }

  private func warnOfClock() {
    guard let warning = skew.warning else {
      hasWarnedOfClock = false
      return
    }
    if !hasWarnedOfClock { log.warn(warning) }
    hasWarnedOfClock = true
  }
}

/// Created once, so that a request doesn't allocate it.
private let userAgent = "device-defender-swift/\(packageVersion)"

/// Why a request to an AWS service failed. The service may have received it nevertheless.
package struct ServiceFailure: Error, Equatable, Sendable {
  package enum Cause: Equatable, Sendable {
    case credentials(CredentialError)
    case signing(SigningError)
    /// The HTTP exchange failed without a usable response.
    case exchange(HTTPError)
    /// The response has an error status.
    case refused(ServiceError)
    /// The deadline left no time for an attempt.
    case noTimeLeft
  }

  package let cause: Cause
  /// The number of attempts that were made.
  package let attempts: Int

  package init(_ cause: Cause, attempts: Int) {
    self.cause = cause
    self.attempts = attempts
  }

  /// The service's error response; nil if there was none.
  var refusal: ServiceError? {
    guard case .refused(let error) = cause else { return nil }
    return error
  }

  /// What to do about a failure, unless its code says more, as a sentence.
  var advice: String {
    switch cause {
    case .noTimeLeft: "Allow more time, or make the batch smaller."
    case .credentials, .signing: "Check the credentials."
    case .exchange: "Check the network, the region and the endpoint."
    case .refused: "Look up the code in the service's API reference; AWS Support needs the request id."
    }
  }

  /// What failed, in words.
  package var reason: String {
    switch cause {
    case .credentials(let error): "\(error)"
    case .signing(let error): "\(error)"
    case .exchange(let error): "\(error)"
    case .refused(let error): "\(error)"
    case .noTimeLeft: "no time was left for an attempt"
    }
  }
}
