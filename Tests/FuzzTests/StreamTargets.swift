@testable import DefenderAgent
@testable import GreengrassIPC
@testable import MQTT
@testable import WireFormats

/// The event stream reader: the size of the pieces must not change the messages or the error, and writing the messages
/// must reproduce the input.
///
/// Runs a second time with the input as the headers of a frame with correct checksums.
let eventStream = FuzzTarget("eventstream") { input in
  for bytes in [input, framed(headers: input)] {
    let (whole, complaint) = messages(in: bytes, piece: max(1, bytes.count))
    let (inPieces, sameComplaint) = messages(in: bytes, piece: input.count % 13 + 1)
    try require(whole == inPieces && complaint == sameComplaint, "the pieces change what is read")
    var written: [UInt8] = []
    for message in whole {
      written += try message.encoded()
      guard let rpc = try? RPCMessage(message) else { continue }
      _ = (rpc.endsStream, rpc.errorName, rpc.errorText)
    }
    try require(bytes.starts(with: written), "what is written differs from what was read")
  }
}

private func messages(in bytes: [UInt8], piece: Int) -> ([EventStreamMessage], EventStreamError?) {
  var reader = EventStreamReader()
  var messages: [EventStreamMessage] = []
  do throws(EventStreamError) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      reader.append(Array(bytes[start..<min(start + piece, bytes.count)]))
      while let message = try reader.nextMessage() { messages.append(message) }
    }
    return (messages, nil)
  } catch {
    return (messages, error)
  }
}

private func framed(headers: [UInt8]) -> [UInt8] {
  func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> UInt32(24 - 8 * $0) & 0xFF) } }
  let lengths = bigEndian(UInt32(16 + headers.count)) + bigEndian(UInt32(headers.count))
  let message = lengths + bigEndian(crc32(lengths)) + headers
  return message + bigEndian(crc32(message))
}

/// The packet reader of MQTT 3.1.1: the size of the pieces must not change the packets, the error or its position.
let mqttPackets = FuzzTarget("mqtt-packets") { try checkPackets($0, .three) }

/// The packet reader of MQTT 5, whose packets have properties.
let mqtt5Packets = FuzzTarget("mqtt5-packets") { try checkPackets($0, .five) }

private func checkPackets(_ input: [UInt8], _ version: ProtocolVersion) throws {
  let (inPieces, complaint) = try packets(in: pieces(of: input), version)
  // The reference reads byte by byte: the reader must reject a packet at the same position with any pieces.
  let (single, sameComplaint) = try packets(in: input.indices.dropFirst().map { input[$0...$0] }, version)
  try require(inPieces == single && complaint == sameComplaint, "the pieces change what is read")
  for case .disconnect(let reason) in single {
    try require("\(reason)".count < 300, "a reason that is too long for a log line")
  }
}

private func packets(
  in pieces: [ArraySlice<UInt8>], _ version: ProtocolVersion
) throws -> ([IncomingPacket], PacketError?) {
  var reader = PacketReader(limit: 1_024, version: version)
  var packets: [IncomingPacket] = []
  do {
    for piece in pieces {
      reader.append(piece)
      while let packet = try reader.next() { packets.append(packet) }
      try require(reader.pendingCount <= 1_024 + 5, "more is kept than the limit")
    }
    return (packets, nil)
  } catch let error as PacketError {
    return (packets, error)
  }
}

/// The reader of the answer to a WebSocket upgrade.
let webSocketAnswer = FuzzTarget("websocket-answer") { input in
  do {
    let upgrade = WebSocketUpgrade(host: "h", target: "/mqtt?X-Amz-Signature=secret", nonce: [])
    let answer = try upgrade.answer(input + Array("\r\n\r\n".utf8))
    try require((100...999).contains(answer.status), "a status that is none")
    try require(
      answer.fields.all.allSatisfy { !$0.value.hasPrefix(" ") && !$0.value.hasSuffix(" ") },
      "blanks around a field's value")
    _ = answer.fields.hasToken("websocket", in: .upgrade)
    try? upgrade.check(answer)
  } catch let error as WebSocketError {
    try require(!error.reason.isEmpty, "a complaint without words")
  }
}

/// The reader of WebSocket frames: the size of the pieces must not change the events or the error.
let webSocketFrames = FuzzTarget("websocket-frames") { input in
  let (inPieces, complaint) = events(in: pieces(of: input))
  let (single, sameComplaint) = events(in: input.indices.dropFirst().map { input[$0...$0] })
  try require(inPieces == single && complaint == sameComplaint, "the pieces change what is read")
}

/// Returns the events that a reader finds in `pieces`, with adjacent data joined, and the error at the end.
private func events(in pieces: [ArraySlice<UInt8>]) -> ([WebSocketEvent], WebSocketError?) {
  var reader = WebSocketFrameReader()
  var events: [WebSocketEvent] = []
  do throws(WebSocketError) {
    for piece in pieces {
      reader.append(piece)
      while let event = try reader.next() {
        if case .data(let more) = event, case .data(let before)? = events.last {
          events[events.count - 1] = .data(before + more)
        } else {
          events.append(event)
        }
      }
    }
    return (events, nil)
  } catch {
    return (events, error)
  }
}

/// Device Defender's answer to a report: the topic, a NUL byte, and the payload.
let reportAnswers = FuzzTarget("report-answers") { input in
  let parts = parts(of: input, upTo: 2)
  guard let answer = ReportAnswer(on: text(parts[0]), payload: parts.count == 2 ? parts[1] : []) else {
    return
  }
  try require(answer.confirmation != .unanswered, "an answer that says it is none")
}

/// A command to the agent: what is accepted must be in range, and the response to it or to its error must be JSON.
let commands = FuzzTarget("commands") { input in
  let response: CommandResponse
  do {
    let command = try Command(parsing: input)
    if case .interval(let interval?) = command.action {
      try require((.milliseconds(1) ... .seconds(604_800)).contains(interval), "an interval out of range")
    }
    response = CommandResponse(.report(1), to: command.name, id: command.id)
  } catch let error as CommandError {
    try require((1...600).contains(error.reason.count), "a reason without words, or too many")
    response = CommandResponse(.rejected(error.reason), id: error.id)
  }
  try require((response.id?.utf8.count ?? 1) <= Command.maximumIDBytes, "an id that is too long")
  let document = try JSONValue(parsing: response.encoded)
  try require(document["id"]?.string == response.id, "another id")
}
