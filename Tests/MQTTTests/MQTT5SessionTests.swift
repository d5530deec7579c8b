import MQTT
import Platform
import Testing
import WireFormats

struct `A session over MQTT 5` {
  private let options = ConnectOptions(clientID: "d", keepAliveSeconds: 60, version: .five)

  /// Returns a session with a server that accepts the connection with `properties` and then sends `following`.
  private func session(
    _ properties: String = "00", _ following: String = "", endsAfterwards: Bool = false
  ) throws -> (Session, ScriptedStream) {
    let body = bytes("0000" + properties)
    let stream = ScriptedStream(
      [0x20, UInt8(body.count)] + body + bytes(following), endsAfterwards: endsAfterwards)
    let session = try Session(
      over: stream, as: options, time: stream.time, until: stream.time.after(.seconds(5)))
    _ = stream.takeWritten()
    return (session, stream)
  }

  private func publish(
    _ size: Int = 1, over session: Session, _ stream: ScriptedStream
  ) throws(MQTTError) -> UInt16? {
    try session.send(
      Message(topic: "t", payload: [UInt8](repeating: 0, count: size)), quality: .atLeastOnce,
      until: stream.time.after(.seconds(5)))
  }

  @Test(
    arguments: [
      ("", true, "closed the connection before its CONNACK", ""),
      ("20020001", false, "doesn't support this version of MQTT (return code 1)", ""),
      ("2003 00 84 00", false, "unsupported protocol version (132)", ""),
      ("2003 00 87 00", false, "refused the connection: not authorized (135)", ""),
      ("2008 00 87 05 1f 0002 6e6f", false, "not authorized (135): no", ""),
      ("2003 01 00 00", false, "a session that wasn't requested", "e00182"),
      ("d000", false, "PINGRESP before its CONNACK", "e00182"),
      ("2006 00 00 03 21 0000", false, "CONNACK: the receive maximum is 0", "e00182"),
      ("2009 00 00 06 21 0001 21 0001", false, "the receive maximum is repeated", "e00182"),
      ("2004 00 00 01 21", false, "it ends before the receive maximum", "e00181"),
      ("2007 00 00 ffffff7f 00", false, "it ends inside the properties", "e00181"),
      ("20ffffff7f", false, "the limit is 196608", "e00195"),
    ])
  func `reports why it couldn't connect, and gives the server the reason`(
    answer: String, ends: Bool, words: String, disconnect: String
  ) {
    let stream = ScriptedStream(bytes(answer), endsAfterwards: ends)
    do throws(MQTTError) {
      _ = try Session(over: stream, as: options, time: stream.time, until: stream.time.after(.seconds(5)))
      Issue.record("it was accepted")
    } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
    #expect(stream.isClosed)
    #expect(Array(stream.written.dropFirst(29)) == bytes(disconnect))
  }

  @Test func `uses the keep-alive and the client id that the server chose`() throws {
    let (session, stream) = try session("09 13 0014 12 0003 61 0a 62")
    #expect(session.nextPing == stream.time.bootTime.advanced(by: .seconds(20) - .milliseconds(1)))
    #expect(!session.clientID.contains("\n") && session.clientID.hasPrefix("a"))
    let (silent, _) = try self.session("03 13 0000")
    #expect(silent.nextPing == nil && silent.clientID == "d")
  }

  @Test func `sends no more messages than the server receives, and waits for an acknowledgement`() throws {
    let (session, stream) = try session("03 21 0002")
    #expect(try publish(over: session, stream) == 1)
    #expect(try publish(over: session, stream) == 2)
    stream.deliver(bytes("4003 0002 10"))
    #expect(try publish(over: session, stream) == 3)
    _ = stream.takeWritten()
    #expect(throws: MQTTError.timedOut(waitingFor: "PUBACK")) { try publish(over: session, stream) }
    // Nothing but DISCONNECT was sent.
    #expect(stream.written == bytes("e000") && session.isOver)
  }

  @Test func `sends no packet that is larger than the server accepts, and continues`() throws {
    let (session, stream) = try session("05 27 00000014")
    #expect(throws: MQTTError.tooLarge(bytes: 21, limit: 20)) { try publish(13, over: session, stream) }
    #expect(stream.written.isEmpty && !session.isOver)
    #expect(try publish(12, over: session, stream) != nil)
  }

  @Test func `sends nothing with a quality of service that the server doesn't support`() throws {
    let (session, stream) = try session("02 24 00")
    #expect(throws: MQTTError.qualityNotSupported) { try publish(over: session, stream) }
    #expect(stream.written.isEmpty && !session.isOver)
  }

  @Test(arguments: Array(UInt8(0x80)...0xA2))
  func `reports each reason code of a PUBACK, SUBACK and DISCONNECT`(code: UInt8) throws {
    let reason = Reason(ReasonCode(rawValue: code))
    let (session, stream) = try session()
    #expect(try publish(over: session, stream) == 1)
    stream.deliver([0x40, 4, 0, 1, code, 0])
    let arrival = try session.receive(until: stream.time.bootTime)
    #expect(arrival == .refusal(packetID: 1, reason))
    stream.deliver([0x90, 5, 0, 2, 0, 1, code])
    #expect(throws: MQTTError.subscriptionRefused(topicFilter: "b", reason)) {
      try session.subscribe(to: ["a", "b"], until: stream.time.after(.seconds(5)))
    }
    #expect(!session.isOver)
    _ = stream.takeWritten()
    stream.deliver([0xE0, 1, code])
    #expect(throws: MQTTError.disconnected(reason)) {
      try session.keepAlive(until: stream.time.after(.seconds(5)))
    }
    // No packet follows the server's DISCONNECT.
    #expect(session.isOver && stream.isClosed && stream.written.isEmpty)
  }

  @Test(arguments: Array(UInt8(0x80)...0xA2))
  func `reports each reason code of a CONNACK`(code: UInt8) {
    let stream = ScriptedStream([0x20, 3, 0, code, 0])
    #expect(throws: MQTTError.connectionRefused(Reason(ReasonCode(rawValue: code)))) {
      try Session(over: stream, as: options, time: stream.time, until: stream.time.after(.seconds(5)))
    }
    #expect(stream.isClosed)
  }

  @Test func `reports the server's reason if a packet can't be sent any more`() throws {
    let (session, stream) = try session()
    stream.deliver(bytes("3004 0001 74 00 e001 8e"))
    stream.writeError = .lost("broken pipe")
    #expect(throws: MQTTError.disconnected(Reason(.sessionTakenOver))) {
      try publish(over: session, stream)
    }
  }

  @Test(arguments: ["3007 0001 74 03 23 0000", "4005 0001 00 01 1f", "9002 0001", "e001 04"])
  func `ends with one error after a malformed packet`(packet: String) throws {
    let (session, stream) = try session("00", packet)
    do throws(MQTTError) {
      _ = try session.receive(until: stream.time.after(.seconds(5)))
      Issue.record("it was accepted")
    } catch {
      #expect("\(error)".hasPrefix("MQTT: the server sent a malformed packet: "), "\(error)")
    }
    #expect(session.isOver && stream.isClosed && stream.written.count == 3)
  }
}
