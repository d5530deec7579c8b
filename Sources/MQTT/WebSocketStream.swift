package import HTTPClient
package import Platform
import WireFormats

/// A byte stream over a WebSocket (RFC 6455), with MQTT in binary messages.
///
/// Implemented here because Debian 12's libcurl 7.88.1 doesn't support `wss`, and 200 lines are less work than building
/// another libcurl.
package final class WebSocketStream: ByteStream {
  /// The largest head of the answer to the upgrade, in bytes, including its empty line.
  static let headLimit = 16_384

  private let stream: any ByteStream
  private let upgrade: WebSocketUpgrade
  private let time: any TimeSource
  /// The source of the masks, which must be unpredictable (RFC 6455, section 10.3).
  private var random: any RandomNumberGenerator
  private var frames = WebSocketFrameReader()
  /// Bytes that have arrived and haven't been read yet.
  private var data: [UInt8] = []
  private var isClosing = false

  package var tlsVersion: String? { stream.tlsVersion }

  package var descriptor: Int32? { stream.descriptor }

  /// Requests the upgrade of `stream` to a WebSocket, and waits for the server's agreement.
  package init(
    upgrading stream: any ByteStream, with upgrade: WebSocketUpgrade, time: any TimeSource,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator(), until deadline: BootTime
  ) throws(WebSocketFailure) {
    self.stream = stream
    self.upgrade = upgrade
    self.time = time
    self.random = random
    do throws(StreamError) {
      let request = try malformed(upgrade.request)
      try stream.write(request, until: deadline)
    } catch {
      throw .stream(error)
    }
    let (head, rest) = try Self.answer(from: stream, to: upgrade, until: deadline)
    do throws(WebSocketError) {
      try upgrade.check(head)
    } catch {
      throw .refused(upgrade.shown(head, rest), error)
    }
    frames.append(rest)
  }

  package func read(
    into buffer: inout [UInt8], limit: Int, until deadline: BootTime
  ) throws(StreamError) -> Int {
    var hasLooked = false
    while data.isEmpty {
      switch try malformed({ () throws(WebSocketError) in try frames.next() }) {
      case .data(let bytes):
        data = bytes
      case .ping(let payload):
        try answer(.pong, payload, until: deadline)
      case .pong:
        break
      case .close(let code, let reason):
        // The server expects a close frame in answer before it closes the connection. A failure to send it changes
        // nothing.
        try? answer(.close, [], until: deadline)
        isClosing = true
        guard let code, code != 1_000 else { return 0 }
        let words = reason.isEmpty ? "" : ": \(upgrade.shown(reason))"
        throw .lost("the server closed the WebSocket with code \(code)\(words)")
      case nil:
        // A server that sends only pings, or a header byte by byte, must not extend the wait beyond the deadline.
        if hasLooked, time.bootTime >= deadline { throw .timedOut }
        hasLooked = true
        var bytes: [UInt8] = []
        guard try stream.read(into: &bytes, limit: max(limit, 512), until: deadline) > 0 else { return 0 }
        frames.append(bytes)
      }
    }
    let count = min(limit, data.count)
    buffer.append(contentsOf: data.prefix(count))
    data = count == data.count ? [] : Array(data.dropFirst(count))
    return count
  }

  package func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    try stream.write(frame(.binary, bytes), until: deadline)
  }

  package func close() {
    if !isClosing {
      // Status 1000 is "normal closure". The connection is closed in any case, so this doesn't wait for room or for an
      // answer.
      try? stream.write(frame(.close, [0x03, 0xE8]), until: BootTime(nanosecondsSinceBoot: 0))
      isClosing = true
    }
    stream.close()
  }

  private func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
    webSocketFrame(opcode, payload, mask: .random(in: .min ... .max, using: &random))
  }

  private func answer(_ opcode: WebSocketOpcode, _ payload: [UInt8], until deadline: BootTime)
    throws(StreamError)
  {
    do throws(StreamError) {
      try stream.write(frame(opcode, payload), until: deadline)
    } catch .timedOut {
      // Half a frame may have been sent, so the caller can't retry as it could after a timeout.
      throw .lost("a WebSocket frame couldn't be written in time")
    }
  }

  /// Returns the head of the server's answer and the bytes that followed it.
  private static func answer(
    from stream: any ByteStream, to upgrade: WebSocketUpgrade, until deadline: BootTime
  ) throws(WebSocketFailure) -> (ResponseHead, rest: [UInt8]) {
    var bytes: [UInt8] = []
    do throws(StreamError) {
      while true {
        let end = endOfHead(in: bytes)
        // A recipient may accept LF alone (RFC 9112, section 2.2). Rejecting it at once names the fault, and like every other
        // answer, the head then has only one reading.
        if hasBareLineFeed(bytes[..<(end ?? bytes.count)]) {
          throw .malformed(
            "the server's answer to the WebSocket upgrade has a line that ends in LF instead of CR LF")
        }
        if let end {
          let head = Array(bytes.prefix(end))
          return (
            try malformed { () throws(WebSocketError) in try upgrade.answer(head) }, Array(bytes[end...])
          )
        }
        guard bytes.count < headLimit else {
          throw .malformed("the answer to the WebSocket upgrade has more than \(headLimit) bytes")
        }
        guard try stream.read(into: &bytes, limit: 1_024, until: deadline) > 0 else {
          throw .lost("the server closed the connection before it answered the WebSocket upgrade")
        }
      }
    } catch {
      throw .stream(error)
    }
  }
}

/// The reason why a connection couldn't be upgraded to a WebSocket.
package enum WebSocketFailure: Error, Equatable, Sendable, CustomStringConvertible {
  case stream(StreamError)
  /// The server answered, but not with a valid upgrade. The response contains the beginning of the body, and no secrets.
  case refused(HTTPResponse, WebSocketError)

  package var description: String {
    switch self {
    case .stream(let error):
      return "WebSocket: \(error)"
    case .refused(let response, let error):
      let type = response.header(.amznErrorType).map { ", \($0)" } ?? ""
      let body = String(decoding: response.body, as: UTF8.self)
      return "\(error)\(type)\(body.isEmpty ? "" : ": \(body)")"
    }
  }
}

/// Returns whether a line feed doesn't follow a carriage return.
private func hasBareLineFeed(_ bytes: ArraySlice<UInt8>) -> Bool {
  var previous: UInt8 = 0
  for byte in bytes {
    if byte == 0x0A, previous != 0x0D { return true }
    previous = byte
  }
  return false
}

/// Returns the result of `call`; rethrows a `WebSocketError` as `StreamError.malformed`.
private func malformed<Value>(_ call: () throws(WebSocketError) -> Value) throws(StreamError) -> Value {
  do throws(WebSocketError) {
    return try call()
  } catch {
    throw .malformed(error.reason)
  }
}
