import TestSupport
import Testing

@testable import LambdaRuntime

@Suite struct `A message reader` {
  struct Message: Sendable, CustomTestStringConvertible {
    let text: String
    let body: String
    var testDescription: String { text.debugDescription }
  }

  static let messages = [
    Message(text: "HTTP/1.1 204 No Content\r\n\r\n", body: ""),
    Message(text: "HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", body: ""),
    Message(text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", body: ""),
    Message(
      text: "HTTP/1.1 200 OK\r\nContent-Length: 0005\r\nContent-Length: 0005\r\n\r\nhello", body: "hello"),
    Message(text: "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", body: ""),
    Message(
      text:
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n003 ;x=\"y\"\r\nllo\r\n0\r\nA: b\r\n\r\n",
      body: "hello"),
    Message(
      text:
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
      body: "01234567890123456789"),
    Message(text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", body: "{}"),
    Message(text: "HTTP/1.0 200 OK\r\n\r\nuntil the end", body: "until the end"),
  ]

  @Test(arguments: messages, [1, 2, 3, 7, 100_000])
  func `reads a message regardless of how it is split into packets`(message: Message, packet: Int) throws {
    var reader = MessageReader(PacketSource(Array(message.text.utf8), packetSize: packet))
    let head = try reader.head()
    let body = try reader.body(after: head, limit: 1_000)
    #expect(String(decoding: body, as: UTF8.self) == message.body)
    let hasUnreadBytes = reader.hasUnreadBytes
    #expect(!hasUnreadBytes)
  }

  @Test(arguments: messages.dropLast())
  func `recognises a message truncated at any byte`(message: Message) throws {
    let bytes = Array(message.text.utf8)
    for end in 0..<bytes.count {
      let result = read(Array(bytes[..<end]), packetSize: 5)
      guard case .failure(let error) = result else {
        Issue.record("accepted a message truncated to \(end) bytes")
        continue
      }
      switch error {
      case .closed: #expect(end == 0 || message.text.hasPrefix("HTTP/1.1 100"))
      case .cutOff: break
      default: Issue.record("after \(end) bytes: \(error)")
      }
    }
  }

  @Test(arguments: [
    ("Transfer-Encoding: chunked\r\n\r\n\r\n", "invalid chunk size ''"),
    ("Transfer-Encoding: chunked\r\n\r\n-1\r\n", "invalid chunk size '-1'"),
    ("Transfer-Encoding: chunked\r\n\r\n5 5\r\n", "invalid chunk size '5 5'"),
    ("Transfer-Encoding: chunked\r\n\r\n0x5\r\n", "invalid chunk size '0x5'"),
    ("Transfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n", "invalid chunk size 'fffffffffffff'"),
    ("Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "a chunk is longer than its size"),
  ])
  func `rejects malformed chunks`(text: String, reason: String) {
    #expect(read("HTTP/1.1 200 OK\r\n" + text) == .failure(.malformed(reason)))
  }

  @Test(arguments: [
    "Content-Length: 1001\r\n\r\n", "Content-Length: 900000000000000000\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", "Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3e8\r\n",
    "Connection: close\r\n\r\n" + String(repeating: "x", count: 1_001),
  ])
  func `rejects a body above the limit before reading it`(text: String) {
    #expect(
      read("HTTP/1.1 200 OK\r\n" + text) == .failure(.tooLarge(part: "the body", limit: 1_000)))
  }

  @Test func `bounds the head, chunk lines, the trailer and the number of interim responses`() {
    let endless = String(repeating: "x", count: 200_000)
    #expect(read("HTTP/1.1 200 OK\r\na: " + endless) == .failure(.tooLarge(part: "the head", limit: 65_536)))
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(
      read(chunked + "1;" + endless) == .failure(.tooLarge(part: "a line of the body", limit: 4_096)))
    let trailers = String(repeating: "a: \(String(repeating: "x", count: 997))\r\n", count: 70)
    #expect(
      read(chunked + "0\r\n" + trailers + "\r\n") == .failure(.tooLarge(part: "the trailer", limit: 65_536)))
    let interim = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 20)
    #expect(read(interim) == .failure(.malformed("more than 8 interim responses")))
  }

  @Test func `keeps the bytes after a message for the next one`() throws {
    let two =
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\n2"
    var reader = MessageReader(PacketSource(Array(two.utf8), packetSize: 1_000))
    let first = try reader.head()
    #expect(try reader.body(after: first, limit: 10) == Array("1".utf8))
    let hasUnreadBytes = reader.hasUnreadBytes
    #expect(hasUnreadBytes)
    let second = try reader.head()
    #expect(second.status == 202)
    #expect(try reader.body(after: second, limit: 10) == Array("2".utf8))
  }

  @Test(arguments: messages)
  func `gives the same result for a damaged message regardless of packets`(message: Message) {
    var random = SeededRandom(seed: 7)
    for _ in 0..<3_000 {
      let bytes = damaged(Array(message.text.utf8), using: &random)
      let whole = read(bytes, packetSize: 100_000)
      // The result must not depend on how the bytes are split into packets.
      #expect(read(bytes, packetSize: Int.random(in: 1...9, using: &random)) == whole)
      if case .success(let body) = whole { #expect(body.count <= 1_000) }
    }
  }

  private func read(_ text: String) -> Result<[UInt8], ExchangeError> {
    read(Array(text.utf8), packetSize: 4_000)
  }

  private func read(_ bytes: [UInt8], packetSize: Int) -> Result<[UInt8], ExchangeError> {
    do throws(ExchangeError) {
      var reader = MessageReader(PacketSource(bytes, packetSize: packetSize))
      let head = try reader.head()
      return .success(try reader.body(after: head, limit: 1_000))
    } catch {
      return .failure(error)
    }
  }
}

/// A source that returns at most `packetSize` bytes per read.
struct PacketSource: ByteSource, ~Copyable {
  private let bytes: [UInt8]
  private let packetSize: Int
  private var position = 0

  init(_ bytes: [UInt8], packetSize: Int) {
    self.bytes = bytes
    self.packetSize = packetSize
  }

  mutating func read(into output: inout OutputSpan<UInt8>, filling: Bool) throws(ExchangeError) {
    let end = min(bytes.count, position + min(packetSize, output.freeCapacity))
    for byte in bytes[position..<end] { output.append(byte) }
    position = end
  }
}
