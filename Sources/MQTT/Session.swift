package import Platform
package import WireFormats

/// A clean session over MQTT 3.1.1 or 5, from the server's CONNACK until one side closes the connection.
///
/// Synchronous: each call sends, or waits for one thing until its deadline. Messages that arrive while a call waits for
/// something else are kept for ``receive(until:)``. Any error ends the session and closes its stream unless a method
/// documents otherwise; create a new session to reconnect.
package final class Session {
  /// A message or an acknowledgement from the server.
  package enum Arrival: Equatable, Sendable {
    case message(Message)
    /// The server has acknowledged the message that ``send(_:quality:until:)`` sent with this identifier.
    case acknowledgement(packetID: UInt16)
    /// The server has refused that message.
    case refusal(packetID: UInt16, Reason)
  }

  /// The maximum number of messages and acknowledgements that wait for ``receive(until:)``. When more arrive, the oldest
  /// is dropped.
  package static let inboxLimit = ArrivalInbox.countLimit

  private let stream: any ByteStream
  private let time: any TimeSource
  /// The version of MQTT that both sides use.
  package let version: ProtocolVersion
  /// The client identifier that the server knows, which isn't the requested one if the server assigned another.
  package private(set) var clientID: String
  /// What the server accepts. MQTT 3.1.1 has no limits.
  package private(set) var limits = ServerLimits()
  /// The longest silence, which the server may choose over MQTT 5; nil for no pings.
  private var keepAlive: Duration?
  /// The messages over MQTT 5 that the server hasn't acknowledged.
  private var unacknowledged: [UInt16] = []
  private var reader: PacketReader
  private var inbox = ArrivalInbox()
  private var lastPacketID: UInt16 = 0
  private var lastSent: BootTime
  private var awaitsPingResponse = false
  package private(set) var isOver = false
  /// Whether the server has sent anything after its CONNACK. Until then it is unknown whether the server keeps any
  /// connection open.
  package private(set) var hasHeld = false

  /// The TLS version of the connection, such as `TLSv1.3`; nil without TLS.
  package var tlsVersion: String? { stream.tlsVersion }

  /// A descriptor that becomes readable when something arrives, provided that ``keepAlive(until:)`` has read
  /// everything before it; nil if there is none.
  package var descriptor: Int32? { isOver ? nil : stream.descriptor }

  /// Sends CONNECT to the server at the other end of `stream`, and waits for its CONNACK.
  package init(
    over stream: any ByteStream, as options: ConnectOptions, time: any TimeSource, until deadline: BootTime,
    packetLimit: Int = PacketReader.defaultLimit
  ) throws(MQTTError) {
    self.stream = stream
    self.time = time
    version = options.version
    clientID = options.clientID
    keepAlive = Self.keepAlive(options.keepAliveSeconds)
    reader = PacketReader(limit: packetLimit, version: options.version)
    lastSent = time.bootTime
    try send(.connect(options, packetLimit: packetLimit), until: deadline)
    guard let answer = try packet(until: deadline, waitingFor: "CONNACK") else {
      throw end(.timedOut(waitingFor: "CONNACK"))
    }
    let isSessionPresent: Bool
    switch answer {
    case .connectAcknowledgement(let sessionPresent, let returnCode):
      guard returnCode == 0 else { throw end(.refused(returnCode: returnCode)) }
      isSessionPresent = sessionPresent
    case .connectAnswer(let sessionPresent, let reason, let limits):
      guard !reason.code.isFailure else { throw end(.connectionRefused(reason)) }
      adopt(limits)
      isSessionPresent = sessionPresent
    default:
      throw end(.unexpected(packet: "\(answer.name) before its CONNACK"))
    }
    guard !isSessionPresent else {
      throw end(.unexpected(packet: "CONNACK with a session that wasn't requested"))
    }
  }

  private func adopt(_ limits: ServerLimits) {
    self.limits = limits
    if let clientID = limits.assignedClientID { self.clientID = shownText(clientID, limit: 128) }
    if let seconds = limits.keepAliveSeconds { keepAlive = Self.keepAlive(seconds) }
  }

  private static func keepAlive(_ seconds: UInt16) -> Duration? {
    seconds == 0 ? nil : .seconds(Int64(seconds))
  }

  deinit { stream.close() }

  /// Subscribes to `topicFilters` with quality of service 1, and waits for the server's SUBACK.
  ///
  /// If `wantsRetained` is false, the server doesn't send the messages that it retained from before, if it supports MQTT 5.
  /// Throws `MQTTError.subscriptionRefused` if the server refuses one of them; that doesn't end the session.
  package func subscribe(
    to topicFilters: [String], wantsRetained: Bool = true, until deadline: BootTime
  ) throws(MQTTError) {
    let packetID = nextPacketID()
    try send(
      .subscribe(topicFilters: topicFilters, packetID: packetID, wantsRetained: wantsRetained),
      until: deadline)
    let (returnCodes, text) = try wait(for: "SUBACK", until: deadline) { (packet) -> ([UInt8], String?)? in
      guard case .subscribeAcknowledgement(packetID, let returnCodes, let text) = packet else { return nil }
      return (returnCodes, text)
    }
    guard returnCodes.count == topicFilters.count else {
      throw end(
        .unexpected(packet: "SUBACK for \(returnCodes.count) topics instead of \(topicFilters.count)"))
    }
    for (filter, code) in zip(topicFilters, returnCodes) where code > 1 {
      let reason = Reason(ReasonCode(rawValue: code), text)
      throw .subscriptionRefused(topicFilter: filter, version == .five ? reason : nil)
    }
  }

  /// Sends a message; returns the identifier with which the server will acknowledge it, nil with quality of service 0.
  ///
  /// If the server accepts no more unacknowledged messages, waits for an acknowledgement first. Throws
  /// `MQTTError.tooLarge` if the server's limit is smaller than the packet; that doesn't end the session.
  package func send(
    _ message: Message, quality: QualityOfService, until deadline: BootTime
  ) throws(MQTTError) -> UInt16? {
    guard isValidTopicName(message.topic) else {
      throw .invalid("the topic '\(message.topic)' is empty or contains a wildcard")
    }
    guard quality == .atLeastOnce else {
      try send(.publish(message, quality, packetID: 0), until: deadline)
      return nil
    }
    guard limits.acceptsAtLeastOnce else { throw .qualityNotSupported }
    try waitForRoom(until: deadline)
    let packetID = nextPacketID()
    try send(.publish(message, quality, packetID: packetID), until: deadline)
    if version == .five { unacknowledged.append(packetID) }
    return packetID
  }

  /// Waits until the server accepts another message of quality of service 1 (MQTT 5, section 4.9).
  private func waitForRoom(until deadline: BootTime) throws(MQTTError) {
    while unacknowledged.count >= min(Int(limits.receiveMaximum), Self.inboxLimit) {
      guard let packet = try packet(until: deadline, waitingFor: "PUBACK") else {
        throw end(.timedOut(waitingFor: "PUBACK"))
      }
      try take(packet, until: deadline)
      guard time.bootTime < deadline else { throw end(.timedOut(waitingFor: "PUBACK")) }
    }
  }

  /// Returns the next message or acknowledgement; nil if none arrives before `deadline`.
  package func receive(until deadline: BootTime) throws(MQTTError) -> Arrival? {
    if let arrival = inbox.takeFirst() { return arrival }
    repeat {
      guard let packet = try packet(until: deadline, waitingFor: "next message") else { return nil }
      try take(packet, until: deadline)
      if let arrival = inbox.takeFirst() { return arrival }
    } while time.bootTime < deadline
    return nil
  }

  /// When the next ping is due; nil if the session has no keep-alive.
  package var nextPing: BootTime? { keepAlive.map { lastSent.advanced(by: $0) } }

  /// Reads what has arrived, and pings the server if a ping is due.
  ///
  /// It doesn't wait for the answer, but checks for it at the next ping, so that an idle session wakes the processor only
  /// once per keep-alive interval. If the answer hasn't arrived by then, the connection is lost. Returns false if `deadline` came
  /// before everything was read.
  @discardableResult
  package func keepAlive(until deadline: BootTime) throws(MQTTError) -> Bool {
    var hasReadAll = true
    // A packet can be larger than one read. The stream may hold the rest in a buffer, which the descriptor doesn't show.
    while let packet = try packet(until: time.bootTime, readingUntil: deadline, waitingFor: "PINGRESP") {
      try take(packet, until: deadline)
      guard time.bootTime < deadline else {
        hasReadAll = false
        break
      }
    }
    guard let nextPing, time.bootTime >= nextPing else { return hasReadAll }
    guard !awaitsPingResponse else { throw end(.timedOut(waitingFor: "PINGRESP")) }
    try send(.pingRequest, until: deadline)
    awaitsPingResponse = true
    return hasReadAll
  }

  /// Pings the server and waits for its answer, to check that an otherwise idle connection stays open.
  package func ping(until deadline: BootTime) throws(MQTTError) {
    try send(.pingRequest, until: deadline)
    _ = try wait(for: "PINGRESP", until: deadline) { $0 == .pingResponse ? true : nil }
  }

  /// Sends DISCONNECT, unless the session is over, and closes the connection. Ignores errors: the connection ends either
  /// way.
  package func disconnect(until deadline: BootTime) {
    if !isOver { try? send(.disconnect(), until: deadline) }
    close()
  }

  private func close() {
    isOver = true
    stream.close()
  }

  /// Ends the session and returns `error`, for the caller to throw. Over MQTT 5, sends the server the reason.
  private func end(_ error: MQTTError) -> MQTTError {
    if version == .five, let code = error.disconnectCode,
      let packet = try? OutgoingPacket.disconnect(code).encoded(for: version)
    {
      try? stream.write(packet, until: time.bootTime)
    }
    close()
    return error
  }

  private func nextPacketID() -> UInt16 {
    lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
    return lastPacketID
  }

  private func send(_ packet: OutgoingPacket, until deadline: BootTime) throws(MQTTError) {
    guard !isOver else { throw .connectionLost("the session is over") }
    let bytes = try packet.encoded(for: version)
    if let limit = limits.maximumPacketSize, bytes.count > limit {
      throw .tooLarge(bytes: bytes.count, limit: limit)
    }
    do throws(StreamError) {
      try stream.write(bytes, until: deadline)
    } catch .stopped {
      throw end(.stopped(before: "a packet was sent"))
    } catch {
      throw end(reasonOfServer() ?? .connectionLost("\(error)"))
    }
    lastSent = time.bootTime
  }

  /// Returns the reason of a DISCONNECT that arrived before a packet could be sent; nil if there is none.
  private func reasonOfServer() -> MQTTError? {
    guard version == .five else { return nil }
    // Bounded: a server can send other packets without end.
    for _ in 0..<Self.inboxLimit {
      do throws(PacketError) {
        while let packet = try reader.next() {
          if case .disconnect(let reason) = packet { return .disconnected(reason) }
        }
      } catch {
        return nil
      }
      var bytes: [UInt8] = []
      guard let count = try? stream.read(into: &bytes, limit: 4_096, until: time.bootTime), count > 0 else {
        return nil
      }
      reader.append(bytes)
    }
    return nil
  }

  /// Handles a packet that no call waits for: messages and acknowledgements go to the inbox.
  private func take(_ packet: IncomingPacket, until deadline: BootTime) throws(MQTTError) {
    hasHeld = true
    switch packet {
    case .publish(let message, let packetID, _):
      inbox.append(.message(message))
      if let packetID { try send(.publishAcknowledgement(packetID: packetID), until: deadline) }
    case .publishAcknowledgement(let packetID, let reason):
      unacknowledged.removeAll { $0 == packetID }
      inbox.append(
        reason.code.isFailure
          ? .refusal(packetID: packetID, reason) : .acknowledgement(packetID: packetID))
    case .pingResponse:
      awaitsPingResponse = false
    case .disconnect(let reason):
      throw end(.disconnected(reason))
    case .connectAcknowledgement, .connectAnswer, .subscribeAcknowledgement:
      throw end(.unexpected(packet: packet.name))
    }
  }

  /// Reads packets until `pick` returns a value for one; handles all packets before it with `take(_:until:)`.
  private func wait<Value>(
    for name: String, until deadline: BootTime, _ pick: (IncomingPacket) -> Value?
  ) throws(MQTTError) -> Value {
    // Check the time between packets, too: a server that keeps sending must not extend the wait beyond the deadline.
    repeat {
      guard let packet = try packet(until: deadline, waitingFor: name) else { break }
      hasHeld = true
      if let value = pick(packet) { return value }
      try take(packet, until: deadline)
    } while time.bootTime < deadline
    throw end(.timedOut(waitingFor: name))
  }

  /// Returns the next packet; nil if none is complete by `deadline`.
  ///
  /// Until the later `limit`, it reads on while bytes are available, but doesn't wait for more.
  private func packet(
    until deadline: BootTime, readingUntil limit: BootTime? = nil, waitingFor name: String
  ) throws(MQTTError) -> IncomingPacket? {
    guard !isOver else { throw .connectionLost("the session is over") }
    if let packet = try packetAtHand() { return packet }
    repeat {
      var bytes: [UInt8] = []
      let count: Int
      do throws(StreamError) {
        count = try stream.read(into: &bytes, limit: 4_096, until: deadline)
      } catch .timedOut {
        return nil
      } catch .stopped {
        throw end(.stopped(before: "the server's \(name)"))
      } catch {
        throw end(.connectionLost("\(error)"))
      }
      guard count > 0 else { throw end(.closedByServer(waitingFor: name)) }
      reader.append(bytes)
      if let packet = try packetAtHand() { return packet }
    } while time.bootTime < limit ?? deadline
    return nil
  }

  private func packetAtHand() throws(MQTTError) -> IncomingPacket? {
    do throws(PacketError) {
      return try reader.next()
    } catch {
      throw end(.malformed(error))
    }
  }
}

/// Returns whether messages can be published to `topic` (MQTT 3.1.1, section 4.7).
private func isValidTopicName(_ topic: String) -> Bool {
  !topic.isEmpty
    && !topic.utf8.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") || $0 == 0 }
}
