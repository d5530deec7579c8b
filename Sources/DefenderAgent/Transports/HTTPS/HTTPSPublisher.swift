package import AWSClient
package import HTTPClient
package import Platform
package import WireFormats

/// Publishes over HTTPS: `POST /topics/<topic>?qos=<n>` of the IoT data plane.
///
/// Signed with AWS credentials, or over a connection that a client certificate speaks for. Tries again as the AWS
/// SDKs' standard mode does, signs each attempt anew, and starts none that the time left can't carry. A message whose
/// answer was lost is sent again: the other side may get it twice, never less than once.
package final class HTTPSPublisher: Publisher {
  /// The time that one attempt may take if the deadline leaves more: 10 s for the name and 5 s for the connection, as
  /// HTTPClient has them.
  package static let standardAttemptTimeout: Duration = .seconds(15)
  /// The least time for which another attempt is worth its while: a connection and an answer over a slow network.
  package static let shortestRetry: Duration = .milliseconds(500)

  private let endpoint: ServiceEndpoint
  /// Nil where a client certificate speaks for us.
  private let credentials: (any CredentialSource)?
  private let exchange: any HTTPExchange
  private let time: any Waiter
  private let log: Log
  private let attemptTimeout: Duration
  private let jitter: () -> Double
  /// Made with the first publish: OpenSSL takes 0.7 ms to start, which no start of a process should wait for.
  private var signer: RequestSigner?
  private let region: String?
  private var last: (topic: Topic, qos: QualityOfService, url: String)?
  private var quota = RetryQuota()
  private var skew = ClockSkew()
  private var hasWarnedOfClock = false

  /// A publisher that signs with what `credentials` gives; an attempt takes at most `attemptTimeout`.
  package convenience init(
    endpoint: ServiceEndpoint, region: String, credentials: any CredentialSource, exchange: any HTTPExchange,
    time: any Waiter, log: Log, attemptTimeout: Duration = standardAttemptTimeout
  ) throws(CryptographyError) {
    try self.init(endpoint, (region, credentials), exchange, time, log, attemptTimeout: attemptTimeout)
  }

  /// A publisher that doesn't sign: `exchange` shows a client certificate, which an AWS IoT policy speaks about.
  package convenience init(
    endpoint: ServiceEndpoint, exchangeWithCertificate exchange: any HTTPExchange, time: any Waiter,
    log: Log
  ) throws(CryptographyError) {
    try self.init(endpoint, nil, exchange, time, log)
  }

  package init(
    _ endpoint: ServiceEndpoint, _ signing: (region: String, credentials: any CredentialSource)?,
    _ exchange: any HTTPExchange, _ time: any Waiter, _ log: Log,
    attemptTimeout: Duration = standardAttemptTimeout, jitter: @escaping () -> Double = { .random(in: 0..<1) }
  ) throws(CryptographyError) {
    region = signing?.region
    self.endpoint = endpoint
    credentials = signing?.credentials
    self.exchange = exchange
    self.time = time
    self.log = log
    self.attemptTimeout = attemptTimeout
    self.jitter = jitter
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    guard payload.count <= AWSIoTQuotas.publishPayloadBytes else {
      let cause = PublishError.Cause.payloadTooLarge(
        bytes: payload.count, limit: AWSIoTQuotas.publishPayloadBytes)
      throw error(cause, topic, attempts: 0)
    }
    var call = Call(payload: payload, topic: topic, qos: qos, deadline: deadline)
    do throws(SigningError) {
      try makeSigner()
      call.payloadHash = try signer?.payloadHash(payload)
    } catch let failure {
      throw error(.signing(failure), topic, attempts: 0)
    }
    while true {
      switch try attempt(&call) {
      case .success(let response):
        quota.giveBack(call.lastCost)
        return PublishReceipt(
          status: response.status, requestID: response.header(.amznRequestID), body: response.body,
          attempts: call.attempts)
      case .failure(let failure):
        let error = error(failure.cause, topic, attempts: call.attempts)
        guard let delay = delay(after: failure, &call) else { throw error }
        log.debug("\(error.reason); trying again in \(delay.inWords)")
        if delay > .zero, time.wait(until: time.bootTime.advanced(by: delay)) != .onTime { throw error }
      }
    }
  }

  package func disconnect() { exchange.disconnect() }

  package func renew() {
    disconnect()
    credentials?.renew()
  }

  /// What one call keeps from attempt to attempt.
  private struct Call {
    let payload: [UInt8]
    let topic: Topic
    let qos: QualityOfService
    let deadline: BootTime
    var payloadHash: Digest?
    var attempts = 0
    /// What the last retry took from the quota.
    var lastCost: Int?
    var hasForgottenCredentials = false
    var usedCredentials: Credentials?
    var usedOffset: Duration = .zero
  }

  private struct Failure: Error {
    let cause: PublishError.Cause
    var response: HTTPResponse?

    var retryReason: RetryReason? {
      switch cause {
      case .exchange(let error): error.isTransient ? .transient : nil
      case .refused(let error): error.retryReason
      default: nil
      }
    }
  }

  private func attempt(_ call: inout Call) throws(PublishError) -> Result<HTTPResponse, Failure> {
    let request = try request(&call)
    let timeout = min(attemptTimeout, time.bootTime.duration(to: call.deadline))
    guard timeout > .zero else { throw error(.noTimeLeft, call.topic, attempts: call.attempts) }
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
      return .failure(Failure(cause: .refused(ServiceError(response, hiding: secrets)), response: response))
    } catch let failure {
      return .failure(Failure(cause: .exchange(failure)))
    }
  }

  /// The request of one attempt, signed at this moment where it is signed at all.
  private func request(_ call: inout Call) throws(PublishError) -> HTTPRequest {
    var request = HTTPRequest(method: "POST", url: url(call.topic, call.qos), body: call.payload)
    if let credentials {
      guard time.bootTime < call.deadline else {
        throw error(.noTimeLeft, call.topic, attempts: call.attempts)
      }
      do throws(CredentialError) {
        let found = try credentials.credentials(at: correctedTime, until: call.deadline)
        guard let found else { throw .noSourceConfigured(tried: [credentials.name]) }
        call.usedCredentials = found
      } catch let failure {
        throw error(.credentials(failure), call.topic, attempts: call.attempts)
      }
    }
    if let usedCredentials = call.usedCredentials {
      call.usedOffset = skew.offset
      do throws(SigningError) {
        try signer?.sign(
          &request, with: usedCredentials, at: correctedTime, payloadHash: call.payloadHash)
      } catch let failure {
        throw error(.signing(failure), call.topic, attempts: call.attempts)
      }
    }
    request.headers.append(HeaderField(.userAgent, userAgent))
    return request
  }

  /// Where messages to `topic` go; reports go to the same one again and again.
  private func url(_ topic: Topic, _ qos: QualityOfService) -> String {
    if let last, last.topic == topic, last.qos == qos { return last.url }
    let url = endpoint.url(topic.path, query: "qos=\(qos.rawValue)")
    last = (topic, qos, url)
    return url
  }

  private func makeSigner() throws(SigningError) {
    guard let region, !hasSigner else { return }
    do throws(CryptographyError) {
      signer = try RequestSigner(region: region, service: "iotdata")
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

  /// How long to wait before the next attempt; nil where there is to be none.
  private func delay(after failure: Failure, _ call: inout Call) -> Duration? {
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

  /// Whether a refusal was about who or when we are, and that is other now.
  private func canCorrect(_ error: ServiceError, _ response: HTTPResponse, _ call: inout Call) -> Bool {
    if skew.explains(error, response, used: call.usedOffset) { return true }
    guard
      error.saysCredentialsAreStale, !call.hasForgottenCredentials, let used = call.usedCredentials,
      used.sessionToken != nil, credentials?.forget(used) == true
    else { return false }
    call.hasForgottenCredentials = true
    log.info("AWS refused the temporary credentials; getting new ones")
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

  private func error(_ cause: PublishError.Cause, _ topic: Topic, attempts: Int) -> PublishError {
    PublishError(cause, topic: topic, endpoint: endpoint.description, attempts: attempts)
  }
}

/// Made once: a publish shouldn't allocate it again.
private let userAgent = "device-defender-swift/\(packageVersion)"
