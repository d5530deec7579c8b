import MQTT
package import Platform
package import WireFormats

/// When there is a connection to the broker.
package enum ConnectionMode: String, CaseIterable, Sendable {
  /// From the first report on; AWS IoT sees the device as connected.
  case persistent
  /// While a report is under way; between reports nothing is open and nothing wakes the device.
  case perReport = "per-report"
}

/// Publishes over MQTT, and hears what Device Defender makes of the reports.
///
/// A report that wasn't acknowledged is sent again over a new connection, with the same report id, as long as its
/// deadline allows. Whatever the other side does, no call outlasts its deadline.
package final class MQTTPublisher: Publisher, ReportConfirmer, IdleTask {
  package struct Settings: Sendable {
    package var clientID: String
    /// The longest silence on a connection, 30 to 1,200 s with AWS IoT.
    package var keepAliveSeconds: UInt16
    package var connection: ConnectionMode
    package var delay = ReconnectDelay()
    /// The time that CONNACK, subscribing, or one acknowledgement may take if the deadline leaves more.
    package var stepTimeout = Duration.seconds(10)
    /// The time that a connection may take from the broker's address on: TCP, the proxy, TLS.
    static let connectTimeout = Duration.seconds(10)
    /// The time that all of a connection may take if the deadline leaves more: the address, which has 10 s of its own, the
    /// connection, and the credentials and the answer to a WebSocket.
    package var streamTimeout = Duration.seconds(20)

    package init(clientID: String, keepAliveSeconds: UInt16, connection: ConnectionMode) {
      self.clientID = clientID
      self.keepAliveSeconds = keepAliveSeconds
      self.connection = connection
    }
  }

  /// How often a message is sent at most.
  private static let maximumAttempts = 4
  private static let subscriptionRetryInterval = Duration.seconds(3_600)

  private let connector: any BrokerConnector
  private let settings: Settings
  private let time: any Waiter
  private let log: Log
  private var random: any RandomNumberGenerator
  private var delay: ReconnectDelay
  private var session: Session?
  /// The topic whose answers the session hears.
  private var answeredTopic: Topic?
  /// How often in a row the connection ended over a subscription: a policy without `iot:Subscribe` looks like that.
  private var lostSubscriptions = 0
  /// If true, the next connection must answer a ping before anything is sent.
  private var wantsControl = false
  /// Why there is no subscription, until a report was acknowledged without one and the log may say so.
  private var subscriptionProblem: String?
  /// When a subscription that the broker didn't allow is asked for again; nil where it is to be asked for at once.
  private var nextSubscription: BootTime?
  /// The topic of the last report that was acknowledged.
  private var publishedTopic: Topic?
  private var answers = ReportAnswers()
  private var connectionCount = 0

  package init(
    _ connector: any BrokerConnector, _ settings: Settings, time: any Waiter, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.connector = connector
    self.settings = settings
    delay = settings.delay
    self.time = time
    self.log = log
    self.random = random
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    guard payload.count <= AWSIoTQuotas.publishPayloadBytes else {
      let cause = PublishError.Cause.payloadTooLarge(
        bytes: payload.count, limit: AWSIoTQuotas.publishPayloadBytes)
      throw PublishError(cause, topic: topic, endpoint: connector.endpoint, attempts: 0)
    }
    let message = Message(topic: topic.name, payload: payload)
    var attempts = 0
    var cause: TransportFailure?
    while true {
      do throws(TransportFailure) {
        let session = try session(for: topic, until: deadline)
        attempts += 1
        try deliver(message, to: topic, qos, over: session, until: deadline)
        delay.succeeded()
        publishedTopic = topic
        noteDelivery()
        return PublishReceipt(attempts: attempts)
      } catch {
        // An attempt that the deadline cut short says less than what failed before it.
        let isCutShort = error.isTransient && time.bootTime >= deadline
        let told = isCutShort ? cause ?? error : error
        cause = told
        guard error.isTransient, !isCutShort, attempts < Self.maximumAttempts, let next = delay.notBefore,
          next < deadline, time.shutdownSignal?.isRequested != true
        else {
          throw PublishError(
            .transport(told), topic: topic, endpoint: connector.endpoint, attempts: attempts)
        }
        log.info(
          "Trying again in \(wholeMilliseconds(time.bootTime.duration(to: next))) ms: \(error.reason).")
      }
    }
  }

  /// Connects where there is no connection, and subscribes to what Device Defender says about reports to `topic`.
  package func connect(for topic: Topic, until deadline: BootTime) throws(TransportFailure) {
    do throws(TransportFailure) {
      _ = try session(for: topic, until: deadline)
      delay.succeeded()
    } catch {
      giveUpConnection()
      throw error
    }
  }

  package func announce(reportID: UInt64) { answers.begin(reportID: reportID) }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    defer {
      if settings.connection == .perReport { disconnect(until: deadline) }
    }
    guard answeredTopic != nil else {
      // The broker refused the subscription, which was logged with what to do.
      return publishedTopic?.isDeviceDefenders == true
        ? .unavailable(reason: "the broker refused the subscription") : nil
    }
    do throws(MQTTError) {
      while true {
        if let confirmation = answers.confirmation(of: reportID) { return confirmation }
        guard let session, let arrival = try session.receive(until: deadline) else { return .unanswered }
        take(arrival)
        if time.bootTime >= deadline { return .unanswered }
      }
    } catch .stopped {
      giveUpConnection()
      return .stopped
    } catch {
      log.info("The connection ended before Device Defender answered report \(reportID): \(error).")
      giveUpConnection()
      return .unanswered
    }
  }

  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    answers.confirmation(of: reportID)
  }

  package var idleTask: (any IdleTask)? { self }

  /// Says goodbye to the broker; the next report connects again.
  package func disconnect() { disconnect(until: .distantFuture) }

  package func renew() {
    disconnect()
    connector.renew()
  }

  /// Says goodbye, for at most a second and until `deadline`: the connection goes either way.
  private func disconnect(until deadline: BootTime) {
    session?.disconnect(until: min(deadline, time.bootTime.advanced(by: .seconds(1))))
    session = nil
    answeredTopic = nil
  }

  /// When the connection needs the next ping; nil if there is no connection.
  package var nextDue: BootTime? { session?.nextPing }

  /// Reads what has arrived and pings the broker if that is due, for at most 5 s and until `deadline`.
  ///
  /// A connection that is dead is let go: the next report opens another.
  package func run(until deadline: BootTime) {
    guard let session else { return }
    do throws(MQTTError) {
      try session.keepAlive(until: min(deadline, time.bootTime.advanced(by: .seconds(5))))
      try takeWhatArrived(on: session)
    } catch {
      log.info("The connection to \(connector.endpoint) has ended between reports: \(error).")
      giveUpConnection()
    }
  }

  private func deliver(
    _ message: Message, to topic: Topic, _ qos: QualityOfService, over session: Session,
    until deadline: BootTime
  ) throws(TransportFailure) {
    let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
    do throws(MQTTError) {
      // What is here by now is no answer to a report that goes out only now.
      try takeWhatArrived(on: session)
      answers.noteSending(to: topic)
      guard let packetID = try session.send(message, quality: qos, until: limit) else { return }
      while let arrival = try session.receive(until: limit) {
        if arrival == .acknowledgement(packetID: packetID) { return }
        take(arrival)
        // Device Defender has the report, so the broker has: its acknowledgement was lost or is late.
        if answers.isNamed { return }
        if time.bootTime >= limit { break }
      }
      throw .timedOut(waitingFor: "PUBACK")
    } catch .closedByServer {
      throw lostConnection(.closedByServer(waitingFor: "PUBACK"), topic: message.topic, isPublishing: true)
    } catch {
      throw lostConnection(error, topic: message.topic, isPublishing: true)
    }
  }

  /// The session that there is, or a new one, in either case subscribed to the answers of `topic`.
  private func session(for topic: Topic, until deadline: BootTime) throws(TransportFailure) -> Session {
    if let session = usableSession() {
      try subscribe(session, topic, until: deadline)
      return session
    }
    if let next = delay.notBefore, next > time.bootTime {
      guard next < deadline else {
        throw TransportFailure(
          reason:
            "the next attempt to connect is due in \(wholeMilliseconds(time.bootTime.duration(to: next))) ms",
          advice: "What failed before is in the log.", isTransient: false)
      }
      switch time.wait(until: next) {
      case .onTime: break
      case .shutdown: throw .stopped(before: "the next attempt to connect")
      case .interrupted:
        throw TransportFailure(
          reason: "another configuration came before the next attempt to connect",
          advice: "The next report includes this traffic.", .stopped)
      }
    }
    let session = try newSession(until: deadline, topic: topic)
    self.session = session
    if wantsControl { try showThatItHolds(session, topic, until: deadline) }
    try subscribe(session, topic, until: deadline)
    return session
  }

  private func newSession(until deadline: BootTime, topic: Topic) throws(TransportFailure) -> Session {
    let stream: any ByteStream
    do throws(TransportFailure) {
      stream = try connector.connect(
        until: min(deadline, time.bootTime.advanced(by: settings.streamTimeout)))
    } catch {
      delay.failed(at: time.bootTime, using: &random)
      throw error
    }
    do throws(MQTTError) {
      let options = ConnectOptions(clientID: settings.clientID, keepAliveSeconds: settings.keepAliveSeconds)
      let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
      let session = try Session(over: stream, as: options, time: time, until: limit)
      connectionCount += 1
      log.debug(
        "Connected to \(connector.endpoint) as '\(settings.clientID)', connection \(connectionCount).")
      return session
    } catch {
      stream.close()
      throw lostConnection(error, topic: topic.name)
    }
  }

  /// The session that there is, where the broker hasn't ended it meanwhile.
  private func usableSession() -> Session? {
    if let session, !session.isOver {
      do throws(MQTTError) {
        try takeWhatArrived(on: session)
        return session
      } catch {
        log.info("The connection to \(connector.endpoint) has ended between reports: \(error).")
      }
    }
    session = nil
    answeredTopic = nil
    return nil
  }

  /// Subscribes to what Device Defender says about reports to `topic`, where it says something.
  private func subscribe(
    _ session: Session, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) {
    guard topic.isDeviceDefenders, answeredTopic != topic else { return }
    if let nextSubscription, time.bootTime < nextSubscription { return }
    let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
    do throws(MQTTError) {
      try session.subscribe(to: ["\(topic)/accepted", "\(topic)/rejected"], until: limit)
      answeredTopic = topic
      lostSubscriptions = 0
      nextSubscription = nil
    } catch .subscriptionRefused(let filter) {
      putOffSubscription("the server refused the subscription to '\(filter)'")
    } catch {
      switch error {
      case .closedByServer, .connectionLost: lostSubscriptions += 1
      default: break  // A network that is slow says nothing about a policy.
      }
      // Without the control, the server may close every connection, whatever is sent. Three, because a network that loses
      // a packet in twenty takes two in a row within hours.
      if lostSubscriptions >= 3, session.hasHeld {
        putOffSubscription(
          "subscribing ended three connections in a row, the last of which had held until then: \(error)")
      }
      throw lostConnection(error, topic: topic.name)
    }
  }

  /// Goes on without the answers for an hour, since a policy may be amended.
  private func putOffSubscription(_ problem: String) {
    lostSubscriptions = 0
    nextSubscription = time.bootTime.advanced(by: Self.subscriptionRetryInterval)
    subscriptionProblem = problem
  }

  /// Warns of a missing subscription, now that a report was published without it.
  private func noteDelivery() {
    wantsControl = false
    guard let subscriptionProblem else { return }
    self.subscriptionProblem = nil
    log.warn(advice.warning(ofSubscription: subscriptionProblem))
  }

  /// Pings the server on a new connection, after one that ended while something was sent: if this one ends now, what was
  /// sent wasn't why.
  private func showThatItHolds(
    _ session: Session, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) {
    do throws(MQTTError) {
      try session.ping(until: min(deadline, time.bootTime.advanced(by: settings.stepTimeout)))
    } catch {
      lostSubscriptions = 0
      throw lostConnection(error, topic: topic.name)
    }
  }

  private func takeWhatArrived(on session: Session) throws(MQTTError) {
    // Bounded: a broker that never stops sending has to wait like everybody else.
    for _ in 0..<Session.inboxLimit {
      guard let arrival = try session.receive(until: time.bootTime) else { return }
      take(arrival)
    }
  }

  private func take(_ arrival: Session.Arrival) {
    guard case .message(let message) = arrival else { return }
    let verdict = answers.take(on: message.topic, payload: message.payload, isRetained: message.isRetained)
    switch verdict {
    case .counts, .replacesRejection: break
    case .isOfAnotherTopic, .isUnreadable: log.warn("Ignored a message on '\(message.topic)': \(verdict).")
    default: log.debug("Ignored an answer on '\(message.topic)': \(verdict).")
    }
  }

  private func giveUpConnection() {
    session?.disconnect(until: time.bootTime)
    session = nil
    answeredTopic = nil
    delay.failed(at: time.bootTime, using: &random)
  }

  /// Lets the connection go because of `error`; what to report of it.
  private func lostConnection(
    _ error: MQTTError, topic: String, isPublishing: Bool = false
  ) -> TransportFailure {
    let stage: BrokerAdvice.Stage = session.map { $0.hasHeld ? .held : .accepted } ?? .connecting
    let failure = advice.failure(
      error, at: stage, topic: topic, isPublishing: isPublishing, isUnderWay: session != nil)
    switch error {
    case .closedByServer, .connectionLost: wantsControl = session != nil
    default: break  // Nobody ended the connection.
    }
    giveUpConnection()
    return failure
  }

  private var advice: BrokerAdvice {
    BrokerAdvice(clientID: settings.clientID, showsCertificate: connector.showsCertificate)
  }

  private func wholeMilliseconds(_ duration: Duration) -> Int { Int(duration.inSeconds * 1_000) }
}
