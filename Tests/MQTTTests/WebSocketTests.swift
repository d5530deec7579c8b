import Platform
import TestSupport
import Testing
import WireFormats

@testable import MQTT

struct `The frames of a WebSocket` {
  @Test(
    arguments: [
      // RFC 6455, section 5.7: "Hello", masked.
      (.text, Array("Hello".utf8), 0x37fa_213d, "818537fa213d7f9f4d5158"),
      (.binary, [], 0xffff_ffff, "8280ffffffff"),
      (.close, [0x03, 0xe8], 0, "88820000000003e8"),
    ] as [(WebSocketOpcode, [UInt8], UInt32, String)])
  func `writes masked frames`(opcode: WebSocketOpcode, payload: [UInt8], mask: UInt32, expected: String) {
    #expect(hex(webSocketFrame(opcode, payload, mask: mask)) == expected)
  }

  @Test(
    arguments: [
      (125, "82fd"), (126, "82fe007e"), (65_535, "82feffff"), (65_536, "82ff0000000000010000"),
    ])
  func `writes lengths in the shortest form`(length: Int, expected: String) {
    let frame = webSocketFrame(.binary, [UInt8](repeating: 0, count: length), mask: 0)
    #expect(hex(frame.prefix(expected.utf8.count / 2)) == expected)
    #expect(frame.count == length + 4 + expected.utf8.count / 2)
  }

  @Test(
    arguments: [
      ("8203010203", [.data([1, 2, 3])]), ("8200 8201ff", [.data([255])]),
      // A message in three fragments, with control frames between them.
      (
        "020101 8900 000102 8a00 8002 0304",
        [
          .data([1]), .ping([]), .data([2]), .pong, .data([3, 4]),
        ]
      ),
      ("8902 6869", [.ping(Array("hi".utf8))]), ("8a00", [.pong]),
      ("8800", [.close(code: nil, reason: "")]), ("8802 03e8", [.close(code: 1_000, reason: "")]),
      ("8805 03f0 627965", [.close(code: 1_008, reason: "bye")]),
      ("827e0001 ff", [.data([255])]), ("827f0000000000000001 ff", [.data([255])]),
    ] as [(String, [WebSocketEvent])])
  func `reads what a server sends, in one piece and byte by byte`(
    text: String, expected: [WebSocketEvent]
  ) throws {
    #expect(try events([bytes(text)]) == expected)
    #expect(try joiningData(events(bytes(text).map { [$0] })) == joiningData(expected))
  }

  @Test(
    arguments: [
      ("8100", "a text message"), ("8300", "unknown opcode 3"), ("8f00", "unknown opcode 15"),
      ("c200", "reserved bits"),
      ("8280", "masked"), ("8000", "continuation frame without a message"),
      ("020101 0200", "new message inside"),
      ("0900", "control frame is fragmented"), ("897e", "longer than 125"), ("8801 03", "truncated code"),
      ("8803 03e8 ff", "isn't UTF-8"), ("827f8000000000000000", "63 bits"),
    ])
  func `rejects what no server may send`(text: String, reason: String) {
    do throws(WebSocketError) {
      let read = try events([bytes(text)])
      Issue.record("was read as \(read)")
    } catch {
      #expect(error.reason.contains(reason), "\(error)")
    }
  }

  @Test func `buffers nothing of a payload, however long it claims to be`() throws {
    var reader = WebSocketFrameReader()
    reader.append(bytes("827f7fffffffffffffff"))
    for _ in 0..<100 {
      reader.append([UInt8](repeating: 1, count: 1_000))
      #expect(try reader.next() == .data([UInt8](repeating: 1, count: 1_000)))
      #expect(try reader.next() == nil)
    }
  }

  @Test func `survives seeded damage, and reads the same in pieces of every size`() {
    var random = SeededRandom(seed: 61)
    let whole = bytes("8203010203 020101 8900 000102 8002 0304 827e0004 01020304 8902 6869 8805 03f0 627965")
    for _ in 0..<20_000 {
      let damage = damaged(whole, using: &random)
      var pieces: [[UInt8]] = []
      var rest = damage[...]
      while !rest.isEmpty {
        let piece = rest.prefix(Int.random(in: 1...9, using: &random))
        pieces.append(Array(piece))
        rest = rest.dropFirst(piece.count)
      }
      #expect(outcome([damage]) == outcome(pieces))
    }
  }

  private func outcome(_ pieces: [[UInt8]]) -> Result<[WebSocketEvent], WebSocketError> {
    do throws(WebSocketError) {
      return .success(joiningData(try events(pieces)))
    } catch {
      return .failure(error)
    }
  }

  private func events(_ pieces: [[UInt8]]) throws(WebSocketError) -> [WebSocketEvent] {
    var reader = WebSocketFrameReader()
    var events: [WebSocketEvent] = []
    for piece in pieces {
      reader.append(piece)
      while let event = try reader.next() { events.append(event) }
    }
    return events
  }

  private func joiningData(_ events: [WebSocketEvent]) -> [WebSocketEvent] {
    events.reduce(into: []) { joined, event in
      if case .data(let more) = event, case .data(let before)? = joined.last {
        joined[joined.count - 1] = .data(before + more)
      } else {
        joined.append(event)
      }
    }
  }
}

struct `A WebSocket` {
  // The key and the answer in the example of RFC 6455, section 1.3.
  static let upgrade = WebSocketUpgrade(
    host: "server.example.com", target: "/mqtt?a=b", nonce: Array("the sample nonce".utf8))
  static let agreement = """
    HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: mqtt\r\n\r\n
    """

  private func stream(_ following: String) throws -> (WebSocketStream, ScriptedStream) {
    let script = ScriptedStream(Array(Self.agreement.utf8) + bytes(following))
    let stream = try WebSocketStream(
      upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    _ = script.takeWritten()
    return (stream, script)
  }

  @Test func `sends the request shown in RFC 6455`() throws {
    let script = ScriptedStream(Array(Self.agreement.utf8), pieceSize: 7)
    _ = try WebSocketStream(
      upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    #expect(
      String(decoding: script.written, as: UTF8.self) == """
        GET /mqtt?a=b HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r
        Sec-WebSocket-Protocol: mqtt\r\n\r\n
        """)
  }

  @Test(
    arguments: [
      ("101 Switching", "101 Switching Protocols", nil),
      ("HTTP/1.1 101", "HTTP/1.1 403", "status 403, ForbiddenException: {\"message\":\"Forbidden\"}"),
      ("HTTP/1.1 101", "HTTP/1.1 200", "status 200"), ("HTTP/1.1 101", "SSH-2.0-x", "HTTP status line"),
      ("HTTP/1.1 101", "HTTP/1.1 1e2", "HTTP status line"), ("HTTP/1.1 101", "", "HTTP status line"),
      ("Upgrade: WebSocket", "Upgrade: h2c", "doesn't upgrade"),
      ("keep-alive, Upgrade", "close", "doesn't upgrade"),
      ("s3pPLM", "s3pPLN", "doesn't match our key"),
      ("protocol: mqtt", "protocol: wamp", "doesn't support MQTT"),
      ("\r\nsec-websocket-protocol: mqtt", "", "doesn't support MQTT"),
      ("Upgrade: ", "Upgrade ", "malformed header field"),
      // A recipient may accept LF alone (RFC 9112, section 2.2); this one doesn't.
      ("Protocols\r\n", "Protocols\n", "ends in LF instead of CR LF"),
      ("\r\nUpgrade", "\nUpgrade", "ends in LF instead of CR LF"),
      ("mqtt\r\n\r\n", "mqtt\n\n", "ends in LF instead of CR LF"),
      ("mqtt\r\n\r\n", "mqtt\r\n\n", "ends in LF instead of CR LF"),
      ("Upgrade:", "Sec-WebSocket-Extensions: x\r\nUpgrade:", "extension that wasn't requested"),
    ] as [(String, String, String?)])
  func `checks the server's answer`(part: String, replacement: String, complaint: String?) throws {
    var answer = Self.agreement
    if let range = answer.firstRange(of: part) { answer.replaceSubrange(range, with: replacement) }
    if complaint?.contains("403") == true {
      answer.insert(contentsOf: "x-amzn-ErrorType: ForbiddenException\r\n", at: answer.endIndex)
      answer = answer.replacingFirst("\r\n\r\nx-amzn", with: "\r\nx-amzn") + "\r\n{\"message\":\"Forbidden\"}"
    }
    let script = ScriptedStream(Array(answer.utf8))
    var thrown: String?
    do throws(WebSocketFailure) {
      _ = try WebSocketStream(
        upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    } catch {
      thrown = error.description
    }
    if let complaint {
      #expect(thrown?.contains(complaint) == true, "\(thrown ?? "no error")")
    } else {
      #expect(thrown == nil || part == "101 Switching")
    }
  }

  @Test(arguments: ["HTTP/1.1 403 Forbidden", "HTTP/1.1 500 Oops", "HTTP/1.1 200 OK"])
  func `hides everything in a rejection that would let somebody else connect`(statusLine: String) throws {
    let signature = String(repeating: "0a", count: 32)
    let target =
      "/mqtt?X-Amz-Credential=AKID&X-Amz-Signature=\(signature)&X-Amz-Security-Token=session%2Ftoken-in-small"
    var upgrade = WebSocketUpgrade(host: "server.example.com", target: target, nonce: [])
    upgrade.secrets = ["secret-key-in-small"]
    let secrets = [signature, "session%2Ftoken-in-small", "session/token-in-small", "secret-key-in-small"]
    let echo =
      "\(target) \(secrets.joined(separator: " ")) \(secrets.map { $0.prefix(13) }.joined(separator: " "))"
    let script = ScriptedStream(Array("\(statusLine)\r\nx-amzn-ErrorType: \(echo)\r\n\r\n\(echo)".utf8))
    let failure = try #require(throws: WebSocketFailure.self) {
      _ = try WebSocketStream(
        upgrading: script, with: upgrade, time: script.time, until: script.time.after(.seconds(5)))
    }
    for secret in secrets {
      #expect(!"\(failure)".contains(secret.prefix(13)), "\(failure)")
    }
    #expect("\(failure)".contains("&X-Amz-Security-Token=•••"))
  }

  @Test(arguments: [(16_300, true), (16_500, false)])
  func `accepts an answer of at most 16 KiB`(size: Int, isAccepted: Bool) {
    let padding = String(repeating: "x", count: size - Self.agreement.utf8.count - 5)
    let answer = Self.agreement.replacingFirst("\r\nUpgrade", with: "\r\nA: \(padding)\r\nUpgrade")
    let script = ScriptedStream(Array(answer.utf8))
    let stream = try? WebSocketStream(
      upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    #expect((stream != nil) == isAccepted)
  }

  @Test func `reads what has arrived even if the deadline has passed`() throws {
    let (stream, script) = try stream("")
    script.deliver(bytes("8201 07"))
    var buffer: [UInt8] = []
    #expect(try stream.read(into: &buffer, limit: 10, until: script.time.bootTime) == 1)
    #expect(buffer == [7])
  }

  @Test func `sends a close frame, but none after the server closed`() throws {
    let (stream, script) = try stream("")
    stream.close()
    #expect(script.takeWritten().first == 0x88 && script.isClosed)
    let (other, otherScript) = try self.stream("8802 03e8")
    var buffer: [UInt8] = []
    #expect(try other.read(into: &buffer, limit: 10, until: otherScript.time.after(.seconds(1))) == 0)
    _ = otherScript.takeWritten()
    other.close()
    #expect(otherScript.written.isEmpty && otherScript.isClosed)
  }

  @Test(arguments: [(0, "no answer in time"), (20_000, "more than 16384 bytes")])
  func `limits the wait for an answer, and the length of an answer`(size: Int, complaint: String) {
    let script = ScriptedStream([UInt8](repeating: UInt8(ascii: "x"), count: size))
    var thrown: String?
    do throws(WebSocketFailure) {
      _ = try WebSocketStream(
        upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    } catch {
      thrown = error.description
    }
    #expect(thrown?.contains(complaint) == true, "\(thrown ?? "no error")")
  }

  @Test(arguments: ["/a b", "/a\r\nHost: x", "/é"])
  func `rejects a target that contains a line end`(target: String) {
    let upgrade = WebSocketUpgrade(host: "h", target: target, nonce: [])
    #expect(throws: WebSocketError.self) { try upgrade.request() }
  }

  @Test func `carries bytes, answers pings and closes`() throws {
    let (stream, script) = try stream("8203010203 8902 6869 8201 04 8802 03e8")
    var read: [UInt8] = []
    let deadline = script.time.after(.seconds(1))
    while try stream.read(into: &read, limit: 2, until: deadline) > 0 {}
    #expect(read == [1, 2, 3, 4])
    let answers = unmasked(script.written)
    #expect(answers == [.init(opcode: .pong, payload: Array("hi".utf8)), .init(opcode: .close, payload: [])])
  }

  @Test func `reports the code and reason of a close`() throws {
    let (stream, script) = try stream("8805 03f0 627965")
    var read: [UInt8] = []
    let deadline = script.time.after(.seconds(1))
    #expect(throws: StreamError.lost("the server closed the WebSocket with code 1008: bye")) {
      try stream.read(into: &read, limit: 10, until: deadline)
    }
  }

  @Test func `returns at its deadline even if the server only sends pings`() throws {
    let script = ScriptedStream(
      Array(Self.agreement.utf8) + Array(repeatElement(bytes("8900"), count: 50_000).joined()),
      pieceSize: 511)
    let stream = try WebSocketStream(
      upgrading: script, with: Self.upgrade, time: script.time, until: script.time.after(.seconds(5)))
    var read: [UInt8] = []
    let deadline = script.time.after(.milliseconds(20))
    #expect(throws: StreamError.timedOut) { try stream.read(into: &read, limit: 10, until: deadline) }
    #expect(deadline.duration(to: script.time.bootTime) < .milliseconds(5))
  }

  @Test func `masks each frame with a new key`() throws {
    let (stream, script) = try stream("")
    for _ in 0..<8 { try stream.write([0, 0, 0, 0], until: script.time.after(.seconds(1))) }
    let masks = stride(from: 0, to: script.written.count, by: 10).map { script.written[($0 + 2)..<($0 + 6)] }
    #expect(Set(masks).count == 8)
  }

  struct Frame: Equatable {
    var opcode: WebSocketOpcode
    var payload: [UInt8]
  }

  /// Parses a client's short frames and removes their masks.
  private func unmasked(_ bytes: [UInt8]) -> [Frame] {
    var frames: [Frame] = []
    var rest = bytes[...]
    while rest.count >= 6, let opcode = WebSocketOpcode(rawValue: rest[rest.startIndex] & 0x0F) {
      let length = Int(rest[rest.startIndex + 1] & 0x7F)
      let key = Array(rest.dropFirst(2).prefix(4))
      let payload = rest.dropFirst(6).prefix(length)
      frames.append(Frame(opcode: opcode, payload: payload.enumerated().map { $1 ^ key[$0 & 3] }))
      rest = rest.dropFirst(6 + length)
    }
    return frames
  }
}

extension String {
  fileprivate func replacingFirst(_ part: String, with replacement: String) -> String {
    guard let range = firstRange(of: part) else { return self }
    var copy = self
    copy.replaceSubrange(range, with: replacement)
    return copy
  }
}
