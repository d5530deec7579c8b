package import Platform
package import WireFormats

/// A clean MQTT 3.1.1 session, from the server's CONNACK until one side closes the connection.
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
  }

  /// The maximum number of messages and acknowledgements that wait for ``receive(until:)``. When more arrive, the oldest
  /// is dropped.
  package static let inboxLimit = 64

  private let stream: any ByteStream
  private let time: any TimeSource
  private let keepAlive: Duration?
  private var reader: PacketReader
  private var inbox: [Arrival] = []
  private var lastPacketID: UInt16 = 0
  private var lastSent: BootTime
  private var awaitsPingResponse = false
  package private(set) var isOver = false
  /// Whether the server has sent anything after its CONNACK. Until then it is unknown whether the server keeps any
  /// connection open.
  package private(set) var hasHeld = false

  /// The TLS version of the connection, such as `TLSv1.3`; nil without TLS.
  package var tlsVersion: String? { stream.tlsVersion }

  /// Sends CONNECT to the server at the other end of `stream`, and waits for its CONNACK.
  package init(
    over stream: any ByteStream, as options: ConnectOptions, time: any TimeSource, until deadline: BootTime,
    packetLimit: Int = PacketReader.defaultLimit
  ) throws(MQTTError) {
    self.stream = stream
    self.time = time
    keepAlive = options.keepAliveSeconds == 0 ? nil : .seconds(Int64(options.keepAliveSeconds))
    reader = PacketReader(limit: packetLimit)
    lastSent = time.bootTime
    try send(.connect(options), until: deadline)
    guard let answer = try packet(until: deadline, waitingFor: "CONNACK") else {
      throw end(.timedOut(waitingFor: "CONNACK"))
    }
    guard case .connectAcknowledgement(let sessionPresent, let returnCode) = answer else {
      throw end(.unexpected(packet: "\(answer.name) before its CONNACK"))
    }
    guard returnCode == 0 else { throw end(.refused(returnCode: returnCode)) }
    guard !sessionPresent else {
      throw end(.unexpected(packet: "CONNACK with a session that wasn't requested"))
    }
  }

  deinit { stream.close() }

  /// Subscribes to `topicFilters` with quality of service 1, and waits for the server's SUBACK.
  ///
  /// Throws `MQTTError.subscriptionRefused` if the server refuses one of them; that doesn't end the session.
  package func subscribe(to topicFilters: [String], until deadline: BootTime) throws(MQTTError) {
    let packetID = nextPacketID()
    try send(.subscribe(topicFilters: topicFilters, packetID: packetID), until: deadline)
    let returnCodes = try wait(for: "SUBACK", until: deadline) { (packet) -> [UInt8]? in
      guard case .subscribeAcknowledgement(packetID, let returnCodes) = packet else { return nil }
      return returnCodes
    }
    guard returnCodes.count == topicFilters.count else {
      throw end(
        .unexpected(packet: "SUBACK for \(returnCodes.count) topics instead of \(topicFilters.count)"))
    }
    for (filter, code) in zip(topicFilters, returnCodes) where code > 1 {
      throw .subscriptionRefused(topicFilter: filter)
    }
  }

  /// Sends a message; returns the identifier with which the server will acknowledge it, nil with quality of service 0.
  package func send(
    _ message: Message, quality: QualityOfService, until deadline: BootTime
  ) throws(MQTTError) -> UInt16? {
    guard isValidTopicName(message.topic) else {
      throw .invalid("the topic '\(message.topic)' is empty or contains a wildcard")
    }
    let packetID = quality == .atLeastOnce ? nextPacketID() : 0
    try send(.publish(message, quality, packetID: packetID), until: deadline)
    return quality == .atLeastOnce ? packetID : nil
  }

  /// Returns the next message or acknowledgement; nil if none arrives before `deadline`.
  package func receive(until deadline: BootTime) throws(MQTTError) -> Arrival? {
    if !inbox.isEmpty { return inbox.removeFirst() }
    repeat {
      guard let packet = try packet(until: deadline, waitingFor: "next message") else { return nil }
      try take(packet, until: deadline)
      if !inbox.isEmpty { return inbox.removeFirst() }
    } while time.bootTime < deadline
    return nil
  }

  /// When the next ping is due; nil if the session has no keep-alive.
  package var nextPing: BootTime? { keepAlive.map { lastSent.advanced(by: $0) } }

  /// Reads what has arrived, and pings the server if a ping is due.
  ///
  /// It doesn't wait for the answer, but checks for it at the next ping, so that an idle session wakes the processor only
  /// once per keep-alive interval. If the answer hasn't arrived by then, the connection is lost.
  package func keepAlive(until deadline: BootTime) throws(MQTTError) {
    while let packet = try packet(until: time.bootTime, waitingFor: "PINGRESP") {
      try take(packet, until: deadline)
      guard time.bootTime < deadline else { break }
    }
    guard let nextPing, time.bootTime >= nextPing else { return }
    guard !awaitsPingResponse else { throw end(.timedOut(waitingFor: "PINGRESP")) }
    try send(.pingRequest, until: deadline)
    awaitsPingResponse = true
  }

  /// Pings the server and waits for its answer, to check that an otherwise idle connection stays open.
  package func ping(until deadline: BootTime) throws(MQTTError) {
    try send(.pingRequest, until: deadline)
    _ = try wait(for: "PINGRESP", until: deadline) { $0 == .pingResponse ? true : nil }
  }

  /// Sends DISCONNECT, unless the session is over, and closes the connection. Ignores errors: the connection ends either
  /// way.
  package func disconnect(until deadline: BootTime) {
    if !isOver { try? send(.disconnect, until: deadline) }
    close()
  }

  private func close() {
    isOver = true
    stream.close()
  }

  /// Ends the session and returns `error`, for the caller to throw.
  private func end(_ error: MQTTError) -> MQTTError {
    close()
    return error
  }

  private func nextPacketID() -> UInt16 {
    lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
    return lastPacketID
  }

  private func send(_ packet: OutgoingPacket, until deadline: BootTime) throws(MQTTError) {
    guard !isOver else { throw .connectionLost("the session is over") }
    let bytes = try packet.encoded()
    do throws(StreamError) {
      try stream.write(bytes, until: deadline)
    } catch .stopped {
      throw end(.stopped(before: "a packet was sent"))
    } catch {
      throw end(.connectionLost("\(error)"))
    }
    lastSent = time.bootTime
  }

  /// Handles a packet that no call waits for: messages and acknowledgements go to the inbox.
  private func take(_ packet: IncomingPacket, until deadline: BootTime) throws(MQTTError) {
    hasHeld = true
    switch packet {
    case .publish(let message, let packetID, _):
      keep(.message(message))
      if let packetID { try send(.publishAcknowledgement(packetID: packetID), until: deadline) }
    case .publishAcknowledgement(let packetID):
      keep(.acknowledgement(packetID: packetID))
    case .pingResponse:
      awaitsPingResponse = false
    case .connectAcknowledgement, .subscribeAcknowledgement:
      throw end(.unexpected(packet: packet.name))
    }
  }

  private func keep(_ arrival: Arrival) {
    if inbox.count == Self.inboxLimit { inbox.removeFirst() }
    inbox.append(arrival)
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
  private func packet(until deadline: BootTime, waitingFor name: String) throws(MQTTError) -> IncomingPacket?
  {
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
    } while time.bootTime < deadline
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
