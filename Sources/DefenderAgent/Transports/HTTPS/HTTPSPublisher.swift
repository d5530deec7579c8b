package import AWSClient
package import HTTPClient
package import Platform
package import WireFormats

/// Publishes over HTTPS: `POST /topics/<topic>?qos=<n>` of the IoT data plane.
///
/// Requests are signed with AWS credentials, or a client certificate authenticates the connection. Retries follow the
/// standard mode of the AWS SDKs. Each attempt has a new signature, and none starts if too little time is left. A message
/// whose response was lost is sent again, so the other side may get it twice, but never less than once.
package final class HTTPSPublisher: Publisher {
  /// The time limit of one attempt, unless the deadline comes first: the limits of HTTPClient, which are 10 s for resolving
  /// the name and 5 s for connecting.
  package static let standardAttemptTimeout: Duration = .seconds(15)
  /// The least time left for which a retry is worthwhile: a connection and a response over a slow network.
  package static let shortestRetry: Duration = .milliseconds(500)

  let endpoint: ServiceEndpoint
  /// The source of the credentials for signing; nil if a client certificate authenticates the device.
  let credentials: (any CredentialSource)?
  private let exchange: any HTTPExchange
  let time: any Waiter
  private let log: Log
  let attemptTimeout: Duration
  /// How ``open(for:until:)`` connects; nil if it doesn't.
  package var connection: ConnectionConfiguration?
  private let jitter: () -> Double
  /// Created by the first publish: OpenSSL takes 0.7 ms to start, and the start of a process shouldn't wait for that.
  private var signer: RequestSigner?
  private let region: String?
  private var last: (topic: Topic, qos: QualityOfService, url: String)?
  private var quota = RetryQuota()
  private var skew = ClockSkew()
  private var hasWarnedOfClock = false

  /// Creates a publisher that signs with `credentials`. An attempt takes at most `attemptTimeout`.
  package convenience init(
    endpoint: ServiceEndpoint, region: String, credentials: any CredentialSource, exchange: any HTTPExchange,
    time: any Waiter, log: Log, attemptTimeout: Duration = standardAttemptTimeout
  ) throws(CryptographyError) {
    try self.init(endpoint, (region, credentials), exchange, time, log, attemptTimeout: attemptTimeout)
  }

  /// Creates a publisher that doesn't sign. `exchange` presents a client certificate, and its AWS IoT policy applies.
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
    try checkSize(of: payload, to: topic, at: endpoint.description)
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
        log.debug("Retrying in \(delay.inWords): \(error.reason).")
        if delay > .zero, time.wait(until: time.bootTime.advanced(by: delay)) != .onTime { throw error }
      }
    }
  }

  package func disconnect() { exchange.disconnect() }

  package func renew() {
    disconnect()
    credentials?.renew()
  }

  /// The state of one publish across its attempts.
  private struct Call {
    let payload: [UInt8]
    let topic: Topic
    let qos: QualityOfService
    let deadline: BootTime
    var payloadHash: Digest?
    var attempts = 0
    /// What the last retry cost of the quota; nil if there was no retry.
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

  /// Returns the request for one attempt. If requests are signed, it is signed with the current time.
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

  /// Returns the URL for messages to `topic`. Keeps the last one, because reports usually have the same topic.
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

  /// Returns how long to wait before the next attempt; nil if there must be none.
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

  private func error(_ cause: PublishError.Cause, _ topic: Topic, attempts: Int) -> PublishError {
    PublishError(cause, topic: topic, endpoint: endpoint.description, attempts: attempts)
  }
}

/// Created once, so that a publish doesn't allocate it.
private let userAgent = "device-defender-swift/\(packageVersion)"
