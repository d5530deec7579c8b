import WireFormats

/// The opcodes of WebSocket frames (RFC 6455, section 5.2).
package enum WebSocketOpcode: UInt8, Sendable {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}

/// Returns a complete, final frame as a client sends it: masked with `mask` (RFC 6455, section 5.3).
package func webSocketFrame(_ opcode: WebSocketOpcode, _ payload: [UInt8], mask: UInt32) -> [UInt8] {
  var frame: [UInt8] = [0x80 | opcode.rawValue]
  frame.reserveCapacity(payload.count + 14)
  switch payload.count {
  case 0..<126:
    frame.append(0x80 | UInt8(payload.count))
  case 126...0xFFFF:
    frame.append(0x80 | 126)
    appendBigEndian(UInt16(payload.count), to: &frame)
  default:
    frame.append(0x80 | 127)
    appendBigEndian(UInt64(payload.count), to: &frame)
  }
  var key: [UInt8] = []
  appendBigEndian(mask, to: &key)
  frame += key
  for (index, byte) in payload.enumerated() { frame.append(byte ^ key[index & 3]) }
  return frame
}

/// An event in the frames that a server sends.
package enum WebSocketEvent: Equatable, Sendable {
  /// Bytes of a binary message. The boundaries of frames and messages have no meaning for MQTT (MQTT 3.1.1, section 6).
  case data([UInt8])
  case ping([UInt8])
  case pong
  /// The server closes the connection; the code is nil if the server gave none (RFC 6455, section 7.4).
  case close(code: UInt16?, reason: String)
}

/// The reason why bytes aren't valid frames of a WebSocket server.
package struct WebSocketError: Error, Equatable, Sendable, CustomStringConvertible {
  package let reason: String

  init(_ reason: String) { self.reason = reason }

  package var description: String { "WebSocket: \(reason)" }
}

/// Extracts frames from bytes that arrive in pieces (RFC 6455, section 5).
///
/// Payloads are returned as they arrive, so that a frame of any size needs no memory. Only headers, and control frames of
/// at most 125 bytes, are buffered until they are complete.
package struct WebSocketFrameReader {
  private var buffer: [UInt8] = []
  /// The number of payload bytes of the current data frame that haven't been returned yet.
  private var remainingPayload: UInt64 = 0
  /// Whether a message has begun whose last fragment hasn't.
  private var isInMessage = false

  package init() {}

  package mutating func append(_ bytes: some Sequence<UInt8>) {
    buffer.append(contentsOf: bytes)
  }

  /// Returns the next event; nil if its bytes haven't arrived yet.
  package mutating func next() throws(WebSocketError) -> WebSocketEvent? {
    while remainingPayload == 0 {
      guard let header = try header() else { return nil }
      if header.opcode.isControl {
        guard buffer.count - header.size >= Int(header.length) else { return nil }
        let payload = Array(buffer[header.size..<(header.size + Int(header.length))])
        buffer.removeFirst(header.size + payload.count)
        return try controlEvent(header.opcode, payload)
      }
      buffer.removeFirst(header.size)
      isInMessage = !header.isFinal
      remainingPayload = header.length
    }
    guard !buffer.isEmpty else { return nil }
    let count = Int(min(UInt64(buffer.count), remainingPayload))
    let data = Array(buffer.prefix(count))
    if count == buffer.count { buffer = [] } else { buffer.removeFirst(count) }
    remainingPayload -= UInt64(count)
    return .data(data)
  }

  private struct Header {
    var isFinal: Bool
    var opcode: WebSocketOpcode
    var length: UInt64
    var size: Int
  }

  /// Returns the header of the next frame; nil if it isn't complete yet.
  private func header() throws(WebSocketError) -> Header? {
    guard let first = buffer.first else { return nil }
    guard first & 0x70 == 0 else { throw WebSocketError("reserved bits are set") }
    guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
      throw WebSocketError("unknown opcode \(first & 0x0F)")
    }
    let isFinal = first & 0x80 != 0
    switch opcode {
    case .text: throw WebSocketError("a text message; MQTT is binary")
    case .binary where isInMessage: throw WebSocketError("a new message inside another")
    case .continuation where !isInMessage: throw WebSocketError("a continuation frame without a message")
    default: break
    }
    guard let second = buffer.dropFirst().first else { return nil }
    guard second & 0x80 == 0 else { throw WebSocketError("a server's frame is masked") }
    let shortLength = second & 0x7F
    if opcode.isControl, !isFinal || shortLength > 125 {
      throw WebSocketError("a control frame is fragmented or longer than 125 bytes")
    }
    let extraSize = shortLength < 126 ? 0 : shortLength == 126 ? 2 : 8
    guard buffer.count >= 2 + extraSize else { return nil }
    var length = extraSize == 0 ? UInt64(shortLength) : 0
    for byte in buffer[2..<(2 + extraSize)] { length = length << 8 | UInt64(byte) }
    guard length >> 63 == 0 else { throw WebSocketError("a length of more than 63 bits") }
    return Header(isFinal: isFinal, opcode: opcode, length: length, size: 2 + extraSize)
  }

  private func controlEvent(
    _ opcode: WebSocketOpcode, _ payload: [UInt8]
  ) throws(WebSocketError) -> WebSocketEvent {
    guard opcode == .close else { return opcode == .ping ? .ping(payload) : .pong }
    guard payload.count != 1 else { throw WebSocketError("a close frame with a truncated code") }
    guard payload.count >= 2 else { return .close(code: nil, reason: "") }
    guard let reason = String(validating: payload.dropFirst(2), as: UTF8.self) else {
      throw WebSocketError("a close frame whose reason isn't UTF-8")
    }
    return .close(code: UInt16(payload[0]) << 8 | UInt16(payload[1]), reason: reason)
  }
}
