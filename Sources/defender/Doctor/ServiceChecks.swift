import AWSClient
import DefenderAgent
import HTTPClient
import Platform
import WireFormats

extension Doctor {
  /// Checks whether the service accepts our identity and lets us publish.
  mutating func checkService() {
    switch configuration.transport {
    case .https: checkDataPlane()
    case .mqtt: checkBroker()
    default:
      note("clock", .skipped, "\(carrier) doesn't report the time")
      checkDelivery()
    }
    if let finding = findings.last, finding.status == .failed {
      skipPublish(because: "see \(finding.check)")
    } else {
      checkPublish()
    }
  }

  /// Asks the process that publishes for the agent whether it is connected to AWS IoT.
  private mutating func checkDelivery() {
    let publisher = nucleus.map { GreengrassPublisher($0, time: time, log: notes.log) }
    switch publisher?.isCoreOnline(until: min(deadline, time.bootTime.advanced(by: .seconds(5)))) {
    case true?: note("delivery", .ok, "the core is connected to AWS IoT")
    case false?:
      note(
        "delivery", .warning, "the core has no connection to AWS IoT",
        advice:
          "The classic nucleus keeps reports until the core is connected; nucleus lite rejects them. The nucleus's log has the reason."
      )
    case nil:
      note(
        "delivery", .skipped,
        "\(carrier) doesn't report whether it is connected to AWS IoT; see its log")
    }
    _ = notes.take()
  }

  mutating func skipService(because reason: String) {
    note("clock", .skipped, reason)
    note(serviceCheck, .skipped, reason)
    skipPublish(because: reason)
  }

  private mutating func skipPublish(because reason: String) {
    note("publish", .skipped, options.publishTopic == nil ? "not requested" : reason)
  }

  private var serviceCheck: String {
    switch configuration.transport {
    case .mqtt: "MQTT"
    case .https: configuration.https?.identity == nil ? "signature" : "authorization"
    default: "delivery"
    }
  }

  /// The name of the process that holds the connection, for a transport without a connection.
  var carrier: String {
    configuration.transport == .greengrass ? "the nucleus" : configuration.transport.name
  }

  /// Whether requests must be signed and no region is configured.
  var lacksRegion: Bool {
    if let https = configuration.https { return https.identity == nil && https.region == nil }
    if let mqtt = configuration.mqtt { return mqtt.broker.scheme == .wss && mqtt.region == nil }
    return false
  }

  // MARK: HTTPS

  /// Reads the thing's shadow. The request changes nothing, and its answer shows the server's time and
  /// whether our identity is accepted.
  private mutating func checkDataPlane() {
    guard let https = configuration.https, let endpoint = https.endpoint else { return }
    let thing = percentEncoding((configuration.thingName ?? "device-defender-doctor").utf8)
    var probe = DataPlaneProbe(
      url: endpoint.url("/things/\(thing)/shadow"), region: https.region, time: time)
    do {
      let response = try probe.response(
        configuration.access.connection.with(https.identity, for: endpoint),
        try configuration.access.credentials(time: time, log: notes.log), until: deadline)
      noteClock(probe.skew, response)
      noteVerdict(response, hiding: probe.secrets)
    } catch {
      note("clock", .skipped, "no response")
      note(
        serviceCheck, .failed, "\(error)", advice: "Check the network, and whether the endpoint is AWS IoT's."
      )
    }
    _ = notes.take()
  }

  private mutating func noteClock(_ skew: ClockSkew, _ response: HTTPResponse) {
    if skew.warning != nil {
      noteWrongClock(skew)
    } else if response.header(.date) == nil {
      note("clock", .skipped, "the response has no Date header")
    } else {
      let size = skew.offset < .zero ? .zero - skew.offset : skew.offset
      note("clock", .ok, "within \(size.components.seconds + 1) s of the endpoint's clock")
    }
  }

  private mutating func noteWrongClock(_ skew: ClockSkew) {
    note(
      "clock", .failed, skew.warning ?? "",
      advice: "Reports are published nevertheless, but certificates may seem expired or not valid yet.")
  }

  private mutating func noteVerdict(_ response: HTTPResponse, hiding secrets: [String]) {
    let error = ServiceError(response, hiding: secrets)
    let isByCertificate = configuration.https?.identity != nil
    // The thing may have no shadow; AWS reports that with a code.
    let isAnswered = response.isSuccess || response.status == 404 && error.code != nil
    switch (response.status, error.identityProblem) {
    case _ where isAnswered:
      note(serviceCheck, .ok, isByCertificate ? "the certificate was accepted" : "accepted")
    case (_, let problem?):
      note(serviceCheck, .failed, "rejected: \(error)", advice: problem.advice)
    case (401, _):
      note(serviceCheck, .failed, "rejected: \(error)", advice: "Check the credentials.")
    case (403, _) where isByCertificate:
      note(
        serviceCheck, .warning, "rejected: \(error)",
        advice:
          "Either the certificate isn't active, or its policy doesn't allow iot:GetThingShadow, which reports "
          + "don't need. Use --publish to test what they need.")
    case (403, _) where error.saysNotAllowed:
      note(serviceCheck, .ok, "accepted (iot:GetThingShadow isn't allowed, but reports don't need it)")
    default:
      note(
        serviceCheck, .warning, "unclear: \(error)",
        advice: "Check that the endpoint is AWS IoT's data plane, and try again.")
    }
  }

  // MARK: MQTT

  private mutating func checkBroker() {
    do {
      let publisher = try configuration.publisher(time: time, log: notes.log)
      guard let mqtt = publisher as? MQTTPublisher else { return }
      defer { mqtt.disconnect() }
      let connection = Result { () throws(TransportFailure) in try connect(mqtt) }
      noteClock(of: mqtt, isAccepted: (try? connection.get()) != nil)
      try connection.get()
      let version = mqtt.protocolName.map { " (\($0))" } ?? ""
      let text = "connected as '\(configuration.mqtt?.settings.clientID ?? "")'\(version)"
      if let warning = notes.take() {
        note("MQTT", .warning, "\(text); \(warning)")
      } else {
        note("MQTT", .ok, text)
      }
    } catch let error as TransportFailure {
      note("MQTT", .failed, error.reason, advice: error.advice)
    } catch {
      note("MQTT", .failed, "\(error)")
    }
    _ = notes.take()
  }

  /// Connects, at most twice: the second attempt uses what the first answer showed about the clock or the
  /// credentials.
  private func connect(_ publisher: MQTTPublisher) throws(TransportFailure) {
    let topic: Topic
    do throws(TopicError) {
      topic = try configuration.topic(for: configuration.format)
    } catch {
      throw TransportFailure(reason: "\(error)", advice: "Correct DEFENDER_TOPIC.", isTransient: false)
    }
    do throws(TransportFailure) {
      try publisher.connect(for: topic, until: deadline)
    } catch {
      guard error.isTransient else { throw error }
      try publisher.connect(for: topic, until: deadline)
    }
  }

  /// A WebSocket's request is signed with a date, and responses to it carry one. MQTT itself has none.
  private mutating func noteClock(of publisher: MQTTPublisher, isAccepted: Bool) {
    guard let skew = publisher.clockSkew else {
      note("clock", .skipped, "MQTT carries no date; accurate enough for TLS")
      return
    }
    if skew.warning != nil {
      noteWrongClock(skew)
      // The connector has already logged this.
      _ = notes.take()
    } else if isAccepted {
      note("clock", .ok, "accurate enough: the dated signature was accepted")
    } else {
      note("clock", .skipped, "no difference to the server's clock was found")
    }
  }

  // MARK: Publishing

  private mutating func checkPublish() {
    guard let topic = options.publishTopic else {
      note("publish", .skipped, "not requested")
      return
    }
    do {
      let publisher = try publisher()
      defer { publisher.disconnect() }
      let payload = Array(#"{"message":"device-defender-swift: defender doctor"}"#.utf8)
      let receipt = try publisher.publish(payload, to: topic, qos: .atLeastOnce, until: deadline)
      note("publish", .ok, "published to '\(topic)': \(receipt)")
    } catch let error as PublishError {
      note("publish", .failed, "can't publish a message to '\(topic)': \(error.reason)", advice: error.advice)
    } catch {
      note("publish", .failed, "\(error)")
    }
    _ = notes.take()
  }

  private func publisher() throws -> any Publisher {
    if configuration.transport == .greengrass, let nucleus {
      return GreengrassPublisher(nucleus, time: time, log: notes.log)
    }
    return try configuration.publisher(time: time, log: notes.log)
  }
}

extension ServiceError {
  /// Whether a rejection is about permissions. Looks for the words that AWS IoT and IAM use.
  ///
  /// A captive portal or a proxy may also answer 403, and so does AWS IoT if it didn't check the signature.
  fileprivate var saysNotAllowed: Bool {
    guard code != nil else { return false }
    guard let words = message?.lowercased() else { return true }
    return words == "forbidden" || words.includes("not authorized")
  }
}

/// A request that changes nothing. It is repeated with the server's clock if our clock caused a rejection.
private struct DataPlaneProbe {
  let url: String
  /// The region to sign for; nil if a certificate identifies us.
  let region: String?
  let time: any TimeSource
  private(set) var skew = ClockSkew()
  /// The secrets of the last request's credentials, and its signature.
  private(set) var secrets: [String] = []

  init(url: String, region: String?, time: any TimeSource) {
    self.url = url
    self.region = region
    self.time = time
  }

  mutating func response(
    _ configuration: ConnectionConfiguration, _ chain: CredentialChain, until deadline: BootTime
  ) throws -> HTTPResponse {
    let exchange = try CurlExchange(configuration)
    let first: (answer: HTTPResponse, offset: Duration)
    do {
      first = try attempt(exchange, chain, until: deadline)
    } catch let error as HTTPError where error.isTransient {
      // Retry once, as publishing does: one lost connection may be accidental, and a second failure may show the cause.
      guard time.bootTime.duration(to: deadline) >= ServiceClient.shortestRetry else { throw error }
      first = try attempt(exchange, chain, until: deadline)
    }
    guard isClockToBlame(first.answer, first.offset) else { return first.answer }
    return try attempt(exchange, chain, until: deadline).answer
  }

  private func isClockToBlame(_ response: HTTPResponse, _ used: Duration) -> Bool {
    !response.isSuccess && skew.explains(ServiceError(response), response, used: used)
  }

  private mutating func attempt(
    _ exchange: CurlExchange, _ chain: CredentialChain, until deadline: BootTime
  ) throws -> (answer: HTTPResponse, offset: Duration) {
    let offset = skew.offset
    let now = time.wallTime.advanced(by: offset)
    var request = HTTPRequest(method: "GET", url: url)
    if let region, let credentials = try chain.credentials(at: now, until: deadline) {
      var signer = try RequestSigner(region: region, service: "iotdata")
      try signer.sign(&request, with: credentials, at: now)
      secrets = request.secrets + credentials.secrets
    }
    let sent = (wall: time.wallTime, boot: time.bootTime)
    let response = try exchange.exchange(request, timeout: sent.boot.duration(to: deadline))
    skew.observe(response, sent: sent.wall, duration: sent.boot.duration(to: time.bootTime))
    return (response, offset)
  }
}
