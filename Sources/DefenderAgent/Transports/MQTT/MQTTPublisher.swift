package import AWSClient
import MQTT
package import Platform
package import WireFormats

/// Publishes over MQTT, and receives Device Defender's answers to the reports.
///
/// An unacknowledged report is sent again over a new connection, with the same report id, as long as its deadline allows.
/// Whatever the other side does, no call outlasts its deadline.
package final class MQTTPublisher: Publisher, ReportConfirmer, IdleTask {
  /// The largest number of attempts to send a message.
  private static let maximumAttempts = 4

  let connector: any BrokerConnector
  let settings: Settings
  let time: any Waiter
  let log: Log
  var random: any RandomNumberGenerator
  var delay: ReconnectDelay
  /// When to reconnect between two reports, so that commands can arrive.
  var reconnection = Reconnection()
  /// The topic of the last report for which a connection was needed; nil before the first one.
  private(set) var connectionTopic: Topic?
  private var version: VersionChoice
  private(set) var session: Session?
  /// The size of the largest packet that the broker accepted on its last connection; nil if it named no limit.
  private var packetLimit: Int?
  /// The report that the next message contains; nil for any other message.
  private var announcedReport: UInt64?
  /// The topic to whose answers the session is subscribed.
  var answeredTopic: Topic?
  var answerSubscription = SubscriptionAttempts()
  /// The commands that have arrived; nil if none are configured.
  var commands: CommandInbox?
  /// Whether the session is subscribed to the command topic.
  var hasCommandSubscription = false
  var isFirstCommandSubscription = true
  /// Whether the connection may hold bytes that have arrived and weren't read.
  var hasUnread = false
  var commandSubscription = SubscriptionAttempts()
  /// Whether the next connection must answer a ping before anything else is sent.
  var wantsControl = false
  /// The topic of the last report that was acknowledged.
  private var publishedTopic: Topic?
  var answers = ReportAnswers()
  private var connectionCount = 0
  var repeats = RepeatFilter(interval: .seconds(240))
  /// Called with the reason when a connection ends between two reports.
  package var whenLost: ((String) -> Void)?
  /// Called when a connection is open again before the next report.
  package var whenReconnected: (() -> Void)?

  package init(
    _ connector: any BrokerConnector, _ settings: Settings, time: any Waiter, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.connector = connector
    self.settings = settings
    delay = settings.delay
    version = VersionChoice(settings.version)
    commands = settings.commandTopics.map { CommandInbox($0) }
    self.time = time
    self.log = log
    self.random = random
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    let message = Message(
      payload, to: topic, reportID: announcedReport, expirySeconds: settings.reportExpirySeconds)
    announcedReport = nil
    try checkSize(of: payload, to: topic, at: connector.endpoint)
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
        // If the deadline cut this attempt short, the failure of the attempt before it says more.
        let isCutShort = error.isTransient && time.bootTime >= deadline
        let reported = isCutShort ? cause ?? error : error
        cause = reported
        guard error.isTransient, !isCutShort, attempts < Self.maximumAttempts, let next = delay.notBefore,
          next < deadline, time.shutdownSignal?.isRequested != true
        else {
          // A message that was refused leaves the session open.
          if settings.connection == .perReport { disconnect() }
          throw PublishError(
            .transport(reported), topic: topic, endpoint: connector.endpoint, attempts: attempts)
        }
        log(
          error.reason,
          "Retrying in \(wholeMilliseconds(time.bootTime.duration(to: next))) ms: \(error.reason).")
      }
    }
  }

  /// Connects if there is no connection, and subscribes to Device Defender's answers to reports on `topic`.
  package func connect(for topic: Topic, until deadline: BootTime) throws(TransportFailure) {
    do throws(TransportFailure) {
      _ = try session(for: topic, until: deadline)
      delay.succeeded()
    } catch {
      giveUpConnection()
      throw error
    }
  }

  package func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    let session: Session
    do throws(TransportFailure) {
      session = try self.session(for: topic, until: deadline)
      delay.succeeded()
    } catch {
      throw PublishError(.transport(error), topic: topic, endpoint: connector.endpoint, attempts: 1)
    }
    var opened = OpenedConnection(endpoint: connector.endpoint)
    opened.clientID = session.clientID
    opened.protocolName = protocolName
    opened.tlsVersion = session.tlsVersion
    opened.staysOpen = settings.connection == .persistent
    if !opened.staysOpen { disconnect(until: deadline) }
    return opened
  }

  package func findCredentials(until deadline: BootTime) throws(CredentialError) {
    try connector.findCredentials(until: deadline)
  }

  /// The version of MQTT of the connection, and why it isn't the configured one; nil without a connection.
  package var protocolName: String? {
    guard let session else { return nil }
    return "\(session.version)" + (version.remark.map { ", because \($0)" } ?? "")
  }

  package func largestPayload(on topic: Topic) -> Int? {
    packetLimit.map { DefenderAgent.largestPayload(inPacketOf: $0, on: topic) }
  }

  package var isConnected: Bool { session.map { !$0.isOver } ?? false }

  /// The difference to the broker's clock; nil if no response carried a date.
  package var clockSkew: ClockSkew? { connector.clockSkew }

  package var certificate: CertificateUse? { connector.certificate }

  package func announce(reportID: UInt64) {
    answers.begin(reportID: reportID)
    announcedReport = reportID
  }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    defer {
      if settings.connection == .perReport { disconnect(until: deadline) }
    }
    guard answeredTopic != nil else {
      // The broker refused the subscription. The log has a warning that says what to do.
      return publishedTopic?.isDeviceDefenders == true
        ? .unavailable(reason: "the broker rejected the subscription") : nil
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
      log(
        "answer \(error)", "Lost the connection before Device Defender answered report \(reportID): \(error)."
      )
      giveUpConnection()
      return .unanswered
    }
  }

  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    answers.confirmation(of: reportID)
  }

  package var idleTask: (any IdleTask)? { self }

  /// Sends DISCONNECT and closes the connection. The next report connects again, or ``run(until:)`` before it if commands are
  /// configured.
  package func disconnect() { disconnect(until: .distantFuture) }

  package func renew() {
    // During an outage, the next attempt may be 300 s away, but the new certificate may be what ends the outage.
    reconnection = Reconnection()
    disconnect()
    if reconnection.notBefore == nil { postponeReconnect() }
    version = VersionChoice(settings.version)
    connector.renew()
  }

  /// Sends DISCONNECT, for at most one second and until `deadline`, and closes the connection in any case.
  private func disconnect(until deadline: BootTime) {
    session?.disconnect(until: min(deadline, time.bootTime.advanced(by: .seconds(1))))
    forgetSession()
  }

  /// When the connection needs the next ping. Without a connection, this is when to reconnect for commands; nil if no commands are
  /// configured.
  package var nextDue: BootTime? { session?.nextPing ?? nextReconnect }

  /// Reads the messages that have arrived and pings the broker if a ping is due, for at most 5 s and until `deadline`.
  ///
  /// A dead connection is closed. The next report opens another, or this method does if commands are configured.
  package func run(until deadline: BootTime) {
    guard let session else { return reconnect(until: deadline) }
    do throws(MQTTError) {
      hasUnread = try !session.keepAlive(
        until: min(deadline, time.bootTime.advanced(by: .seconds(5))))
      if try !takeWhatArrived(on: session) { hasUnread = true }
    } catch {
      noteLossBetweenReports(error)
      giveUpConnection()
      whenLost?("the connection to \(connector.endpoint) ended between reports: \(error)")
    }
  }

  func deliver(
    _ message: Message, to topic: Topic, _ qos: QualityOfService, over session: Session,
    until deadline: BootTime
  ) throws(TransportFailure) {
    let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
    var isSent = false
    do throws(MQTTError) {
      // Messages that have already arrived can't answer a report that hasn't been sent yet.
      try takeWhatArrived(on: session)
      answers.noteSending(to: topic)
      guard let packetID = try session.send(message, quality: qos, until: limit) else { return }
      isSent = true
      while let arrival = try session.receive(until: limit) {
        switch arrival {
        case .acknowledgement(packetID): return
        case .refusal(packetID, let reason): throw .messageRefused(reason)
        default: take(arrival)
        }
        // Device Defender has the report, so the broker has it too: the PUBACK was lost or is late.
        if answers.proveArrival(on: topic) { return }
        if time.bootTime >= limit { break }
      }
      throw .timedOut(waitingFor: "PUBACK")
    } catch .closedByServer {
      throw lostConnection(.closedByServer(waitingFor: "PUBACK"), topic: message.topic, isPublishing: true)
    } catch .disconnected(let reason) {
      throw lostConnection(.disconnected(reason), topic: message.topic, isPublishing: isSent)
    } catch  where error.leavesSession {
      throw advice.failure(
        error, at: .held, topic: message.topic, isPublishing: true, isUnderWay: true)
    } catch {
      throw lostConnection(error, topic: message.topic, isPublishing: true)
    }
  }

  /// Returns the current session or a new one, after subscribing to the answers to reports on `topic`.
  func session(for topic: Topic, until deadline: BootTime) throws(TransportFailure) -> Session {
    connectionTopic = topic
    if let session = usableSession() {
      try subscribe(session, topic, until: deadline)
      return session
    }
    if let next = delay.notBefore, next > time.bootTime {
      guard next < deadline else {
        throw TransportFailure(
          reason:
            "the next attempt to connect is due in \(wholeMilliseconds(time.bootTime.duration(to: next))) ms",
          advice: "The log has the previous failure.", isTransient: false)
      }
      switch time.wait(until: next) {
      case .onTime: break
      case .shutdown: throw .stopped(before: "the next attempt to connect")
      case .interrupted, .message:
        throw TransportFailure(
          reason: "the configuration changed before the next attempt to connect",
          advice: "The next report includes this traffic.", .stopped)
      }
    }
    let session = try newSession(until: deadline, topic: topic)
    self.session = session
    if wantsControl { try showThatItHolds(session, topic, until: deadline) }
    try subscribe(session, topic, until: deadline)
    // A command may have arrived together with the SUBACK, in a buffer that the descriptor doesn't show.
    hasUnread = true
    return session
  }

  private func newSession(until deadline: BootTime, topic: Topic) throws(TransportFailure) -> Session {
    while true {
      let stream = try openStream(until: deadline)
      do throws(MQTTError) {
        let options = ConnectOptions(
          clientID: settings.clientID, keepAliveSeconds: settings.keepAliveSeconds, version: version.current)
        let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
        let session = try Session(over: stream, as: options, time: time, until: limit)
        noteConnection(session)
        return session
      } catch {
        stream.close()
        guard version.fallsBack(after: error), time.bootTime < deadline else {
          throw lostConnection(error, topic: topic.name)
        }
        log(
          "version",
          "\(connector.endpoint) didn't accept \(settings.version): \(error). Connecting with \(version.current)."
        )
      }
    }
  }

  private func openStream(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    do throws(TransportFailure) {
      return try connector.connect(
        until: min(deadline, time.bootTime.advanced(by: settings.streamTimeout)))
    } catch {
      delay.failed(at: time.bootTime, using: &random)
      postponeReconnect()
      throw error
    }
  }

  private func noteConnection(_ session: Session) {
    version.accepted()
    reconnection.connected(at: time.bootTime)
    packetLimit = session.limits.maximumPacketSize
    connectionCount += 1
    log.debug(
      "Connected to \(connector.endpoint) as '\(session.clientID)', \(session.version), connection \(connectionCount)."
    )
  }

  /// Returns the current session; nil if there is none or it has ended.
  func usableSession() -> Session? {
    if let session, !session.isOver {
      do throws(MQTTError) {
        try takeWhatArrived(on: session)
        return session
      } catch {
        noteLossBetweenReports(error)
      }
    }
    forgetSession()
    return nil
  }

  /// Pings the server on a new connection, after the last one ended while a packet was being sent. If this connection ends
  /// during the ping, that packet wasn't the cause.
  private func showThatItHolds(
    _ session: Session, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) {
    do throws(MQTTError) {
      try session.ping(until: min(deadline, time.bootTime.advanced(by: settings.stepTimeout)))
    } catch {
      answerSubscription.forgetLosses()
      commandSubscription.forgetLosses()
      throw lostConnection(error, topic: topic.name)
    }
  }

  /// Logs an event about the connection, or only at the level `debug` if the same one was logged within four minutes.
  func log(_ event: String, _ text: String) {
    if repeats.allows(event, at: time.bootTime) { log.info(text) } else { log.debug(text) }
  }

  private func noteLossBetweenReports(_ error: MQTTError) {
    var text = "Lost the connection to \(connector.endpoint) between reports: \(error)."
    if case .disconnected(let reason) = error {
      let refusal = BrokerAdvice.Refusal.session(isPublishing: false)
      text += " " + advice.response(to: reason.code, of: refusal, topic: "").advice
    }
    log("\(error)", text)
  }

  private func forgetSession() {
    if session != nil { postponeReconnect() }
    session = nil
    answeredTopic = nil
    hasCommandSubscription = false
    hasUnread = false
  }

  private func giveUpConnection() {
    session?.disconnect(until: time.bootTime)
    if session == nil { postponeReconnect() }
    forgetSession()
    delay.failed(at: time.bootTime, using: &random)
  }

  /// Closes the connection because of `error`, and returns the failure to report.
  func lostConnection(
    _ error: MQTTError, topic: String, isPublishing: Bool = false
  ) -> TransportFailure {
    let stage: BrokerAdvice.Stage = session.map { $0.hasHeld ? .held : .accepted } ?? .connecting
    let failure = advice.failure(
      error, at: stage, topic: topic, isPublishing: isPublishing, isUnderWay: session != nil)
    switch error {
    case .closedByServer, .connectionLost: wantsControl = session != nil
    default: break  // The other side didn't end the connection.
    }
    giveUpConnection()
    return failure
  }

  var advice: BrokerAdvice {
    BrokerAdvice(clientID: settings.clientID, showsCertificate: connector.showsCertificate)
  }

  private func wholeMilliseconds(_ duration: Duration) -> Int { Int(duration.inSeconds * 1_000) }
}
