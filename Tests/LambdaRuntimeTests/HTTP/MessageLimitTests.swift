import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

/// Tests with messages exactly at each limit, and one byte, field or message beyond it.
@Suite struct `An HTTP message` {
  private static let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  /// Returns a head of `count` bytes, including the empty line.
  private static func head(ofBytes count: Int) -> String {
    let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\na: "
    return start + String(repeating: "x", count: count - start.utf8.count - 4) + "\r\n\r\n"
  }

  private static func text(_ count: Int) -> String { String(repeating: "x", count: count) }

  /// Returns a chunked response with a trailer of `count` bytes, not counting line ends.
  private static func trailer(ofBytes count: Int) -> String {
    var lines = Array(repeating: "a: \(text(4_093))", count: count / 4_096)
    if count % 4_096 > 0 { lines.append(text(count % 4_096)) }
    return chunked + "0\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
  }

  struct Acceptable: Sendable {
    let text: String
    let size: Int

    init(_ text: String, _ size: Int) {
      self.text = text
      self.size = size
    }
  }

  struct Unacceptable: Sendable {
    let text: String
    let reason: String

    init(_ text: String, _ reason: String) {
      self.text = text
      self.reason = reason
    }
  }

  private static func interim(_ count: Int) -> String {
    String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: count) + head(ofBytes: 100)
  }

  private static func sized(_ count: Int) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n\(text(count))"
  }

  private static func unsized(_ count: Int) -> String { "HTTP/1.0 200 OK\r\n\r\n\(text(count))" }

  private static func chunks(_ rest: String) -> String { "\(chunked)\(rest)" }

  static let acceptable = [
    Acceptable(sized(1_000), 1_000),
    Acceptable(chunks("1f4\r\n\(text(500))\r\n1f4\r\n\(text(500))\r\n0\r\n\r\n"), 1_000),
    Acceptable(unsized(1_000), 1_000),
    Acceptable(head(ofBytes: 65_536), 0),
    Acceptable(trailer(ofBytes: 65_536), 0),
    Acceptable(chunks("0;\(text(4_094))\r\n\r\n"), 0),
    Acceptable(chunks("000000000001\r\nx\r\n0\r\n\r\n"), 1),
    Acceptable(interim(8), 0),
  ]

  static let unacceptable = [
    Unacceptable(sized(1_001), "the body is larger than 1000"),
    Unacceptable(
      chunks("1f4\r\n\(text(500))\r\n1f5\r\n\(text(501))\r\n0\r\n\r\n"), "the body is larger than 1000"),
    Unacceptable(unsized(1_001), "the body is larger than 1000"),
    Unacceptable(head(ofBytes: 65_537), "the head is larger than 65536"),
    Unacceptable(trailer(ofBytes: 65_537), "the trailer is larger than 65536"),
    Unacceptable(chunks("0;\(text(4_096))\r\n\r\n"), "a line of the body is larger than 4096"),
    Unacceptable(chunks("0000000000001\r\nx\r\n0\r\n\r\n"), "invalid chunk size '0000000000001'"),
    Unacceptable(interim(9), "more than 8 interim responses"),
  ]

  @Test(arguments: acceptable, [1, 4_000])
  func `is accepted exactly at a limit`(message: Acceptable, packet: Int) throws {
    #expect(try read(message.text, packet).get().count == message.size)
  }

  @Test(arguments: unacceptable)
  func `is rejected if it exceeds a limit by one`(message: Unacceptable) throws {
    let error = try #require(throws: ExchangeError.self) { _ = try read(message.text, 1).get() }
    #expect(error.description.contains(message.reason), "\(error)")
  }

  @Test(arguments: [(256, true), (257, false)])
  func `may have a request ID of 256 bytes but not 257`(length: Int, isServed: Bool) throws {
    let odd = event("odd", id: String(repeating: "a", count: length))
    let script = isServed ? [odd, accepted] : [odd, event("next"), accepted]
    let run = try ServedRuntime(script: script, handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == [isServed ? "odd" : "next"])
  }

  private func read(_ text: String, _ packet: Int) -> Result<[UInt8], ExchangeError> {
    do throws(ExchangeError) {
      var reader = MessageReader(PacketSource(Array(text.utf8), packetSize: packet))
      let head = try reader.head()
      return .success(try reader.body(after: head, limit: 1_000))
    } catch {
      return .failure(error)
    }
  }
}

@Suite struct `A loopback socket` {
  private func read(_ socket: inout LoopbackSocket) throws(ExchangeError) -> [UInt8] {
    try [UInt8](capacity: 1) { output throws(ExchangeError) in
      try socket.read(into: &output, filling: true)
    }
  }

  /// Returns a socket that has sent a request to `server`.
  private func socket(_ server: LoopbackServer) throws -> LoopbackSocket {
    let endpoint = try RuntimeEndpoint(parsing: server.authority)
    var socket = try LoopbackSocket.connected(to: endpoint, within: .seconds(60))
    try socket.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), [])
    return socket
  }

  @Test func `gives each exchange its own time limit`() throws {
    let server = try LoopbackServer { _ in .send(Array(repeating: 0x20, count: 100)) }
    var socket = try socket(server)
    socket.begin(allowing: .zero)
    var failure: ExchangeError?
    do throws(ExchangeError) {
      for _ in 0..<10 { _ = try read(&socket) }
    } catch {
      failure = error
    }
    #expect(failure == .timedOut("receiving"))
    socket.begin(allowing: .seconds(60))
    for _ in 0..<10 {
      let byte = try read(&socket)
      #expect(byte == [0x20])
    }
  }

  @Test func `returns an event that has arrived even after a stop request`() throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { _ in .send([0x20]) }
    let socket = try socket(server)
    let signals = try stop.signal()
    // Wait until the first byte is here, so that both are pending below.
    try socket.waitForAnswer(or: signals.descriptor)
    stop.stop()
    // Would throw if the stop request took precedence.
    try socket.waitForAnswer(or: signals.descriptor)
  }
}
