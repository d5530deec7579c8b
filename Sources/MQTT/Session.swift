package import Platform
package import WireFormats

/// A clean MQTT 3.1.1 session, from the server's CONNACK until one side hangs up.
///
/// Synchronous: each call sends, or waits for one thing until its deadline. Messages that arrive while a call waits for
/// something else are kept for ``receive(until:)``. After an error the session is over and its stream closed, but where it
/// says otherwise; who wants another connects again.
package final class Session {
  /// What came from the server.
  package enum Arrival: Equatable, Sendable {
    case message(Message)
    /// The server has taken the message that ``send(_:quality:until:)`` sent with this identifier.
    case acknowledgement(packetID: UInt16)
  }

  /// Messages that wait to be received. A server that floods a client which doesn't look loses the oldest.
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
  /// Whether the server sent anything after its CONNACK: until then nobody knows if it keeps any connection at all.
  package private(set) var hasHeld = false

  /// Introduces the client to the server at the other end of `stream`, and waits for its CONNACK.
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
      throw end(.unexpected(packet: "CONNACK with a session that wasn't asked for"))
    }
  }

  deinit { stream.close() }

  /// Subscribes to `topicFilters` with quality 1, and waits until the server says that it has.
  ///
  /// Throws `MQTTError.subscriptionRefused` where it won't; the session goes on without.
  package func subscribe(to topicFilters: [String], until deadline: BootTime) throws(MQTTError) {
    let packetID = nextPacketID()
    try send(.subscribe(topicFilters: topicFilters, packetID: packetID), until: deadline)
    let returnCodes = try wait(for: "SUBACK", until: deadline) { (packet) -> [UInt8]? in
      guard case .subscribeAcknowledgement(packetID, let returnCodes) = packet else { return nil }
      return returnCodes
    }
    guard returnCodes.count == topicFilters.count else {
      throw end(.unexpected(packet: "SUBACK of \(returnCodes.count) topics for \(topicFilters.count)"))
    }
    for (filter, code) in zip(topicFilters, returnCodes) where code > 1 {
      throw .subscriptionRefused(topicFilter: filter)
    }
  }

  /// Sends a message; returns the identifier that the server will acknowledge it by, nil with quality 0.
  package func send(
    _ message: Message, quality: QualityOfService, until deadline: BootTime
  ) throws(MQTTError) -> UInt16? {
    guard isValidTopicName(message.topic) else {
      throw .invalid("the topic '\(message.topic)': empty, or with a wildcard")
    }
    let packetID = quality == .atLeastOnce ? nextPacketID() : 0
    try send(.publish(message, quality, packetID: packetID), until: deadline)
    return quality == .atLeastOnce ? packetID : nil
  }

  /// Sends a message, and with quality 1 waits until the server has taken it.
  package func publish(
    _ message: Message, quality: QualityOfService, until deadline: BootTime
  ) throws(MQTTError) {
    guard let packetID = try send(message, quality: quality, until: deadline) else { return }
    _ = try wait(for: "PUBACK", until: deadline) { packet in
      packet == .publishAcknowledgement(packetID: packetID) ? packetID : nil
    }
  }

  /// The next message or acknowledgement; nil where none came until `deadline`.
  package func receive(until deadline: BootTime) throws(MQTTError) -> Arrival? {
    if !inbox.isEmpty { return inbox.removeFirst() }
    repeat {
      guard let packet = try packet(until: deadline, waitingFor: "next message") else { return nil }
      try take(packet, until: deadline)
      if !inbox.isEmpty { return inbox.removeFirst() }
    } while time.bootTime < deadline
    return nil
  }

  /// When the next ping is due; nil where the session has no keep-alive.
  package var nextPing: BootTime? { keepAlive.map { lastSent.advanced(by: $0) } }

  /// Reads what has arrived, and pings the server if that is due.
  ///
  /// The answer isn't waited for but looked for at the next ping, so that an idle session wakes the processor once a
  /// keep-alive and no more; without one by then the connection is lost.
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

  /// Pings the server and waits for its answer: the control that a connection holds on which nothing else is sent.
  package func ping(until deadline: BootTime) throws(MQTTError) {
    try send(.pingRequest, until: deadline)
    _ = try wait(for: "PINGRESP", until: deadline) { $0 == .pingResponse ? true : nil }
  }

  /// Says goodbye and closes the connection; on a connection that is broken there is nobody to tell.
  package func disconnect(until deadline: BootTime) {
    if !isOver { try? send(.disconnect, until: deadline) }
    close()
  }

  private func close() {
    isOver = true
    stream.close()
  }

  /// Ends the session because of `error`.
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

  /// Deals with a packet that nobody waits for: messages and acknowledgements go to the inbox.
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

  /// Takes packets until `pick` makes something of one; what comes before it goes the usual way.
  private func wait<Value>(
    for name: String, until deadline: BootTime, _ pick: (IncomingPacket) -> Value?
  ) throws(MQTTError) -> Value {
    // The time is looked at between packets too: a server that never stops sending mustn't keep us.
    repeat {
      guard let packet = try packet(until: deadline, waitingFor: name) else { break }
      hasHeld = true
      if let value = pick(packet) { return value }
      try take(packet, until: deadline)
    } while time.bootTime < deadline
    throw end(.timedOut(waitingFor: name))
  }

  /// The next packet; nil where none was complete by `deadline`.
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

/// Whether messages can be published to `topic` (MQTT 3.1.1, section 4.7).
private func isValidTopicName(_ topic: String) -> Bool {
  !topic.isEmpty
    && !topic.utf8.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") || $0 == 0 }
}
