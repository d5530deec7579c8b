import MQTT
import Platform
import Testing
import WireFormats

struct `An MQTT session` {
  let options = ConnectOptions(clientID: "d", keepAliveSeconds: 60)

  /// Returns a stream whose server accepts the connection and then sends `following`.
  private func stream(_ following: String = "", endsAfterwards: Bool = false) -> ScriptedStream {
    ScriptedStream(bytes("20020000" + following), endsAfterwards: endsAfterwards)
  }

  private func session(_ stream: ScriptedStream) throws -> Session {
    let session = try Session(
      over: stream, as: options, time: stream.time, until: stream.time.after(.seconds(5)))
    _ = stream.takeWritten()
    return session
  }

  @Test(
    arguments: [
      ("", false, .timedOut(waitingFor: "CONNACK")), ("", true, .closedByServer(waitingFor: "CONNACK")),
      ("2002", false, .timedOut(waitingFor: "CONNACK")),
      ("20020001", false, .refused(returnCode: 1)), ("20020005", false, .refused(returnCode: 5)),
      ("20020100", false, .unexpected(packet: "CONNACK with a session that wasn't requested")),
      ("d000", false, .unexpected(packet: "PINGRESP before its CONNACK")),
    ] as [(String, Bool, MQTTError)])
  func `reports why it couldn't connect, and closes the connection`(
    answer: String, ends: Bool, error: MQTTError
  ) {
    let stream = ScriptedStream(bytes(answer), endsAfterwards: ends)
    #expect(throws: error) {
      try Session(over: stream, as: options, time: stream.time, until: stream.time.after(.seconds(5)))
    }
    #expect(stream.isClosed)
  }

  @Test func `publishes, and receives the acknowledgement of this message and of others`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.deliver(bytes("4002 0007 4002 0001"))
    let packetID = try session.send(
      Message(topic: "t", payload: [0xAA]), quality: .atLeastOnce, until: stream.time.after(.seconds(5)))
    #expect(packetID == 1 && stream.takeWritten() == bytes("3206 0001 74 0001 aa"))
    let stray = try session.receive(until: stream.time.bootTime)
    let own = try session.receive(until: stream.time.bootTime)
    #expect(stray == .acknowledgement(packetID: 7) && own == .acknowledgement(packetID: 1))
  }

  @Test func `publishes with quality 0, without an identifier to acknowledge`() throws {
    let stream = stream()
    let session = try session(stream)
    let message = Message(topic: "t", payload: [])
    let packetID = try session.send(message, quality: .atMostOnce, until: stream.time.after(.seconds(5)))
    #expect(packetID == nil)
    #expect(stream.takeWritten() == bytes("3003 0001 74"))
  }

  @Test func `reports a stop request, and ends`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.readError = .stopped
    let deadline = stream.time.after(.seconds(5))
    #expect(throws: MQTTError.stopped(before: "the server's PINGRESP")) {
      try session.ping(until: deadline)
    }
    #expect(session.isOver && stream.isClosed)
    #expect(stream.time.bootTime < deadline)
  }

  @Test func `ends if an acknowledgement doesn't arrive`() throws {
    let stream = stream()
    let session = try session(stream)
    let deadline = stream.time.after(.seconds(5))
    #expect(throws: MQTTError.timedOut(waitingFor: "PINGRESP")) {
      try session.ping(until: deadline)
    }
    #expect(session.isOver && stream.isClosed && stream.time.bootTime >= deadline)
    #expect(throws: MQTTError.connectionLost("the session is over")) {
      try session.receive(until: deadline)
    }
  }

  @Test(arguments: ["", "a/+", "#", "nul\0"])
  func `rejects topics that can't be published to`(topic: String) throws {
    let stream = stream()
    let session = try session(stream)
    #expect(throws: MQTTError.self) {
      try session.send(
        Message(topic: topic, payload: []), quality: .atMostOnce, until: stream.time.after(.seconds(1)))
    }
    #expect(stream.written.isEmpty && !session.isOver)
  }

  @Test(
    arguments: [
      ("9004 0001 0101", nil), ("9004 0001 0100", nil), ("3003000174 9004 0001 0101", nil),
      ("9004 0001 0180", .subscriptionRefused(topicFilter: "b")),
      // The client didn't request QoS 2.
      ("9004 0001 0102", .subscriptionRefused(topicFilter: "b")),
      ("9003 0001 01", .unexpected(packet: "SUBACK for 1 topics instead of 2")),
      ("9004 0002 0101", .unexpected(packet: "SUBACK")),
      ("20020000", .unexpected(packet: "CONNACK")),
      ("", .timedOut(waitingFor: "SUBACK")),
    ] as [(String, MQTTError?)])
  func `subscribes, or reports why it can't`(answer: String, expected: MQTTError?) throws {
    let stream = stream()
    let session = try session(stream)
    stream.deliver(bytes(answer))
    var thrown: MQTTError?
    do throws(MQTTError) {
      try session.subscribe(to: ["a", "b"], until: stream.time.after(.seconds(5)))
    } catch {
      thrown = error
    }
    #expect(thrown == expected)
    #expect(stream.written == bytes("820a 0001 0001 61 01 0001 62 01"))
  }

  @Test func `acknowledges messages and keeps them in order while it waits for something else`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.deliver(bytes("3206 0001 61 0009 01 3004 0001 62 02 D000"))
    try session.ping(until: stream.time.after(.seconds(5)))
    #expect(stream.takeWritten() == bytes("C000 4002 0009"))
    let first = try session.receive(until: stream.time.bootTime)
    let second = try session.receive(until: stream.time.bootTime)
    let third = try session.receive(until: stream.time.bootTime)
    #expect(first == .message(Message(topic: "a", payload: [1])))
    #expect(second == .message(Message(topic: "b", payload: [2])))
    #expect(third == nil && !session.isOver)
  }

  @Test func `keeps the newest messages of a flood`() throws {
    let stream = stream()
    let session = try session(stream)
    for number in 0..<100 { stream.deliver(bytes("3004 0001 61") + [UInt8(number)]) }
    stream.deliver(bytes("D000"))
    try session.ping(until: stream.time.after(.seconds(5)))
    var kept: [Session.Arrival] = []
    while let arrival = try session.receive(until: stream.time.bootTime) { kept.append(arrival) }
    #expect(kept == (36..<100).map { .message(Message(topic: "a", payload: [UInt8($0)])) })
  }

  @Test func `keeps the newest messages of a flood of large ones, and every acknowledgement`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.deliver(bytes("4002 0007"))
    for number in 0..<9 {
      // A topic of one byte and 60,000 bytes: at most four fit in 256 KiB.
      stream.deliver(bytes("30 e3d403 0001 61") + [UInt8](repeating: UInt8(number), count: 60_000))
    }
    stream.deliver(bytes("D000"))
    try session.ping(until: stream.time.after(.seconds(5)))
    var kept: [Session.Arrival] = []
    while let arrival = try session.receive(until: stream.time.bootTime) { kept.append(arrival) }
    let newest = (5..<9).map { [UInt8](repeating: UInt8($0), count: 60_000) }
    #expect(
      kept == [.acknowledgement(packetID: 7)] + newest.map { .message(Message(topic: "a", payload: $0)) })
  }

  @Test func `returns at its deadline even if the server never stops sending`() throws {
    let time = ScriptedTime()
    let stream = ScriptedStream(
      bytes("20020000") + Array(repeatElement(bytes("3003000161"), count: 20_000).joined()), pieceSize: 5,
      time: time)
    let session = try session(stream)
    let deadline = time.after(.seconds(2))
    #expect(throws: MQTTError.timedOut(waitingFor: "PINGRESP")) {
      try session.ping(until: deadline)
    }
    #expect(deadline.duration(to: time.bootTime) < .milliseconds(10))
  }

  @Test func `ends a keep-alive at its deadline even if the server never stops sending`() throws {
    let time = ScriptedTime()
    let stream = ScriptedStream(
      bytes("20020000") + Array(repeatElement(bytes("3003000161"), count: 5_000).joined()), pieceSize: 5,
      time: time)
    let session = try session(stream)
    let deadline = time.after(.seconds(2))
    try session.keepAlive(until: deadline)
    #expect(deadline.duration(to: time.bootTime) < .milliseconds(10))
  }

  @Test func `returns at its deadline even if a packet arrives byte by byte`() throws {
    let time = ScriptedTime()
    let stream = ScriptedStream(
      bytes("20020000 308020 0001 61") + [UInt8](repeating: 0, count: 4_093), pieceSize: 1, time: time)
    let session = try session(stream)
    let arrival = try session.receive(until: time.after(.seconds(2)))
    #expect(arrival == nil && !session.isOver)
    let whole = try session.receive(until: time.after(.seconds(5)))
    #expect(whole == .message(Message(topic: "a", payload: [UInt8](repeating: 0, count: 4_093))))
  }

  @Test func `pings once after a silence, and ends if the ping isn't answered`() throws {
    let stream = stream()
    let session = try session(stream)
    try session.keepAlive(until: stream.time.after(.seconds(1)))
    #expect(stream.written.isEmpty)
    let due = try #require(session.nextPing)
    stream.time.pass(until: due)
    try session.keepAlive(until: stream.time.after(.seconds(1)))
    #expect(stream.takeWritten() == bytes("c000"))
    stream.deliver(bytes("d000"))
    stream.time.pass(.seconds(60))
    try session.keepAlive(until: stream.time.after(.seconds(1)))
    #expect(stream.takeWritten() == bytes("c000"))
    stream.time.pass(.seconds(60))
    let deadline = stream.time.after(.seconds(1))
    #expect(throws: MQTTError.timedOut(waitingFor: "PINGRESP")) { try session.keepAlive(until: deadline) }
    #expect(stream.isClosed)
  }

  @Test func `postpones the ping after a message`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.time.pass(.seconds(50))
    _ = try session.send(
      Message(topic: "t", payload: []), quality: .atMostOnce, until: stream.time.after(.seconds(1)))
    #expect(session.nextPing == stream.time.after(.seconds(60)))
  }

  @Test func `notices on the next call that the server closed the connection`() throws {
    let stream = stream(endsAfterwards: true)
    let session = try session(stream)
    let deadline = stream.time.after(.seconds(1))
    #expect(throws: MQTTError.closedByServer(waitingFor: "PINGRESP")) {
      try session.keepAlive(until: deadline)
    }
  }

  @Test func `sends DISCONNECT`() throws {
    let stream = stream()
    let session = try session(stream)
    session.disconnect(until: stream.time.after(.seconds(1)))
    #expect(stream.written == bytes("e000") && stream.isClosed && session.isOver)
  }

  @Test func `wraps packet identifiers to 1, never 0`() throws {
    let stream = ScriptedStream(bytes("20020000"))
    let session = try session(stream)
    var last: UInt16?
    for _ in 0...65_535 {
      last = try session.send(
        Message(topic: "t", payload: []), quality: .atLeastOnce, until: stream.time.after(.seconds(1)))
    }
    #expect(last == 1)
  }

  @Test func `reports why a write failed`() throws {
    let stream = stream()
    let session = try session(stream)
    stream.writeError = .lost("broken pipe")
    #expect(throws: MQTTError.connectionLost("the connection was lost: broken pipe")) {
      try session.send(
        Message(topic: "t", payload: []), quality: .atMostOnce, until: stream.time.after(.seconds(1)))
    }
    #expect(session.isOver)
  }
}
