import Foundation
@testable import GreengrassIPC
import TestSupport
import Testing
import WireFormats

private let corpus = URL(filePath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/fuzz/eventstream")

private func seed(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: corpus.appending(path: name + ".bin")))
}

private func messages(in bytes: [UInt8]) throws(EventStreamError) -> [EventStreamMessage] {
  var reader = EventStreamReader()
  reader.append(bytes)
  var messages: [EventStreamMessage] = []
  while let message = try reader.nextMessage() { messages.append(message) }
  return messages
}

/// Returns a frame with correct checksums for any headers and payload.
private func framed(headers: [UInt8], payload: [UInt8] = []) -> [UInt8] {
  func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> UInt32(24 - 8 * $0) & 0xFF) } }
  let lengths = bigEndian(UInt32(16 + headers.count + payload.count)) + bigEndian(UInt32(headers.count))
  let message = lengths + bigEndian(crc32(lengths)) + headers + payload
  return message + bigEndian(crc32(message))
}

@Suite struct `An event stream message` {
  @Test(arguments: ["connect", "publish", "connect-ack", "every-type", "empty"])
  func `are read and written as AWS's client writes them`(name: String) throws {
    let bytes = try seed(name)
    let messages = try messages(in: bytes)
    #expect(messages.count == 1)
    #expect(try messages.first?.encoded() == bytes)
  }

  @Test func `contain the value of each type of header`() throws {
    let message = try #require(try messages(in: try seed("every-type")).first)
    #expect(
      message.headers.map(\.value) == [
        .boolean(true), .boolean(false), .int8(-128), .int16(-32_768), .int32(-2), .int64(.max),
        .bytes([0, 255, 1]), .string("é"), .timestamp(1_767_323_045_000), .uuid(Array(0..<16)),
      ])
    #expect(message.payload == Array("\0payload".utf8))
  }

  @Test func `match AWS's client to the byte, up to the order of the headers`() throws {
    let connect = EventStreamMessage.connect(as: .token("TOK"))
    let publish = EventStreamMessage.request(
      .publishToIoTCore(
        topic: "$aws/things/t1/defender/metrics/json", qualityOfService: .atLeastOnce,
        payload: Array(#"{"a":1}"#.utf8)),
      streamID: 1)
    for (ours, name) in [(connect, "connect"), (publish, "publish")] {
      let theirs = try #require(try messages(in: try seed(name)).first)
      #expect(ours.headers.sorted { $0.name < $1.name } == theirs.headers.sorted { $0.name < $1.name })
      #expect(ours.payload == theirs.payload)
      #expect(try ours.encoded().count == seed(name).count)
    }
  }

  @Test func `can be read from pieces of any size`() throws {
    let bytes = try seed("two-messages") + seed("publish")
    let whole = try messages(in: bytes)
    #expect(whole.count == 3)
    for size in [1, 2, 11, 12, 13, 100] {
      var reader = EventStreamReader()
      var found: [EventStreamMessage] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        reader.append(Array(bytes[start..<min(start + size, bytes.count)]))
        while let message = try reader.nextMessage() { found.append(message) }
      }
      #expect(found == whole)
    }
  }

  static let badHeaders: [[UInt8]] = [
    [0], [0, 7, 0, 0], [5, 97], [1], [1, 97], [1, 97, 10], [1, 97, 255], [1, 97, 2], [1, 97, 3, 0],
    [1, 97, 4, 0, 0, 0],
    [1, 97, 5, 0, 0, 0, 0, 0, 0, 0], [1, 97, 8, 0], [1, 97, 9, 1, 2, 3], [1, 97, 6, 0], [1, 97, 6, 0, 2, 1],
    [1, 97, 7, 0, 1], [1, 97, 7, 0, 1, 0xFF], [1, 0xC3, 0], [1, 97, 7, 0x80, 0],
  ]

  @Test(arguments: badHeaders)
  func `are rejected if their headers are malformed`(headers: [UInt8]) {
    #expect(throws: EventStreamError.self) { try messages(in: framed(headers: headers)) }
  }

  static let badFrames: [(name: String, bytes: [UInt8])] = {
    func with(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
      var bytes = framed(headers: [1, 97, 0], payload: [1, 2, 3])
      change(&bytes)
      return bytes
    }
    func lengths(_ total: [UInt8], _ headers: [UInt8]) -> [UInt8] {
      let checksum = crc32(total + headers)
      return total + headers + (0..<4).map { UInt8(checksum >> UInt32(24 - 8 * $0) & 0xFF) }
    }
    return [
      ("a damaged length", with { $0[3] ^= 1 }), ("a damaged checksum of the lengths", with { $0[8] ^= 1 }),
      ("a damaged header", with { $0[13] ^= 1 }), ("a damaged payload", with { $0[16] ^= 0x80 }),
      ("a damaged checksum", with { $0[$0.count - 1] ^= 1 }),
      ("no room for the framing", lengths([0, 0, 0, 15], [0, 0, 0, 0])),
      ("nothing", lengths([0, 0, 0, 0], [0, 0, 0, 0])),
      ("more headers than message", lengths([0, 0, 0, 20], [0, 0, 0, 5])),
      ("4 GiB", lengths([0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0])),
      ("one byte too many", lengths([0, 0x10, 0, 1], [0, 0, 0, 0])),
      ("headers of 4 GiB", lengths([0, 0, 1, 0], [0xFF, 0xFF, 0xFF, 0xFF])),
      ("too many headers", lengths([0, 0x10, 0, 0], [0, 2, 0, 1])),
    ]
  }()

  @Test(arguments: badFrames.indices)
  func `are rejected without waiting if they are damaged or too long`(index: Int) {
    #expect(throws: EventStreamError.self, "\(Self.badFrames[index].name)") {
      try messages(in: Self.badFrames[index].bytes)
    }
  }

  @Test func `are incomplete until their last byte arrives`() throws {
    let bytes = try seed("publish")
    for length in 0..<bytes.count { #expect(try messages(in: Array(bytes[..<length])).isEmpty) }
  }

  @Test func `aren't written if a header doesn't fit`() {
    for header in [
      EventStreamMessage.Header("", .boolean(true)),
      EventStreamMessage.Header(String(repeating: "n", count: 256), .boolean(true)),
      EventStreamMessage.Header("a", .string(String(repeating: "v", count: 32_768))),
      EventStreamMessage.Header("a", .uuid([1])),
    ] {
      #expect(throws: EventStreamError.self) { try EventStreamMessage(headers: [header]).encoded() }
    }
  }

  @Test func `survive seeded damage, in the frame and inside it`() throws {
    var random = SeededRandom(seed: 7)
    let names = try FileManager.default.contentsOfDirectory(atPath: corpus.path()).sorted()
    #expect(names.count >= 6)
    for name in names {
      let bytes = [UInt8](try Data(contentsOf: corpus.appending(path: name)))
      _ = try? messages(in: bytes)
      _ = try? messages(in: framed(headers: bytes))
      for _ in 0..<1_000 {
        let damage = damaged(bytes, using: &random)
        _ = try? messages(in: damage)
        // With correct checksums, so that the reader gets as far as the damaged headers.
        let message = try? messages(in: framed(headers: Array(damage.dropFirst(12)))).first
        if let message { #expect(try messages(in: try message.encoded()).first == message) }
      }
    }
  }

  @Test func `have the same checksum as in zlib`() {
    #expect(crc32(Array("123456789".utf8)) == 0xCBF4_3926)
    #expect(crc32([]) == 0)
    #expect(crc32(Array("6789".utf8), continuing: crc32(Array("12345".utf8))) == 0xCBF4_3926)
  }
}

@Suite struct `An RPC message` {
  @Test(arguments: [
    (#"{"message":"one","_message":"two"}"#, "one"), (#"{"_message":"two","_errorCode":"X"}"#, "two"),
    (#"{"message":"","_message":"two"}"#, "two"),
    (#"{"error":"Unsupported Operation"}"#, "Unsupported Operation"),
    ("InternalServerError", "InternalServerError"), ("", "no reason given"), (#"{"a":1}"#, #"{"a":1}"#),
    (#"["message"]"#, #"["message"]"#),
  ])
  func `contain the text of an error`(payload: String, text: String) throws {
    let message = try RPCMessage(
      EventStreamMessage(
        headers: [
          .init(":stream-id", .int32(1)), .init("other", .boolean(true)), .init(":message-flags", .int32(2)),
          .init(":message-type", .int32(1)),
        ], payload: Array(payload.utf8)))
    #expect(message.errorText == text)
    #expect(message.endsStream)
  }

  static let bad: [[EventStreamMessage.Header]] = [
    [], [.init(":message-type", .int32(0)), .init(":message-flags", .int32(0))],
    [.init(":message-type", .int32(8)), .init(":message-flags", .int32(0)), .init(":stream-id", .int32(0))],
    [.init(":message-type", .int64(0)), .init(":message-flags", .int32(0)), .init(":stream-id", .int32(0))],
    [
      .init(":message-type", .string("0")), .init(":message-flags", .int32(0)),
      .init(":stream-id", .int32(0)),
    ],
  ]

  @Test(arguments: bad)
  func `are rejected without kind, flags and stream`(headers: [EventStreamMessage.Header]) {
    #expect(throws: IPCError.self) { try RPCMessage(EventStreamMessage(headers: headers)) }
  }

  @Test func `carry 7293 bytes to the usual topic on lite`() {
    let limit = IPCRequest.messageLimitOfLite
    #expect(
      IPCRequest.maximumPublishPayload(topic: "$aws/things/t1/defender/metrics/json", messageLimit: limit)
        == 7_293)
    #expect(IPCRequest.maximumPublishPayload(topic: "t", messageLimit: 100) == 0)
  }
}
