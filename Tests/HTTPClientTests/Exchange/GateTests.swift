import Platform
import Testing
import WireFormats

@testable import HTTPClient

/// The objects that libcurl's callbacks use, each with the state of one transfer.
struct `The state of a transfer` {
  private func take(_ line: String, _ sink: ResponseSink) -> Bool {
    let bytes = Array(line.utf8)
    return sink.take(headLine: bytes.span)
  }

  private func takeBody(_ count: Int, _ sink: ResponseSink) -> Bool {
    unsafe [UInt8](repeating: 1, count: count).withUnsafeBytes { unsafe sink.take(body: $0) }
  }

  @Test func `accepts a head and a body of exactly their limits, and no byte more`() {
    let sink = ResponseSink(headLimit: 19, bodyLimit: 4)
    #expect(take("HTTP/1.1 200 OK\r\n", sink) && take("\r\n", sink))
    #expect(sink.isHeadComplete && sink.excess == nil)
    #expect(takeBody(4, sink))
    #expect(!takeBody(1, sink))
    #expect(sink.excess == .body && sink.body.count == 4)
    sink.begin()
    #expect(sink.excess == nil && sink.body.isEmpty && !sink.isHeadComplete && sink.isUntouched)
    #expect(take("HTTP/1.1 200 OK\r\n", sink) && take("\r\n", sink))
    #expect(!take("x", sink))
    #expect(sink.excess == .head)
  }

  @Test func `restarts with each status line, and isn't complete before the empty line`() {
    let sink = ResponseSink(headLimit: 1_000, bodyLimit: 10)
    #expect(take("HTTP/1.1 100 Continue\r\n", sink) && take("A: 1\r\n", sink) && take("\r\n", sink))
    #expect(sink.isHeadComplete)
    #expect(take("HTTP/1.1 200 OK\r\n", sink))
    #expect(!sink.isHeadComplete && sink.fields["A"] == nil)
    #expect(take("B: 2\r\n", sink) && take("\r\n", sink))
    #expect(sink.isHeadComplete && sink.fields["b"] == "2")
  }

  @Test func `allows a request to be sent once`() {
    let gate = RequestGate(ConnectionLimits(connecting: .seconds(5)))
    #expect(gate.letOut() && !gate.refused)
    #expect(!gate.letOut() && gate.refused)
    gate.begin()
    #expect(!gate.refused && !gate.hasBegun)
    #expect(gate.letOut() && gate.hasBegun)
  }

  @Test func `gives each transfer its own grace after a request to stop`() {
    let patience = Duration.milliseconds(100)
    var isRequested = false
    let gate = StopGate(patience: patience, ConnectionLimits(connecting: .seconds(5))) { isRequested }
    #expect(!gate.mustStop())
    isRequested = true
    let start = BootTime.now
    while !gate.mustStop() {}
    #expect(start.duration(to: .now) >= patience)
    #expect(gate.hasStopped)
    gate.begin()
    #expect(!gate.hasStopped)
    let again = BootTime.now
    while !gate.mustStop() {}
    #expect(again.duration(to: .now) >= patience)
  }

  @Test(
    arguments: [
      (0x7F00_0001, true), (0x7FFF_FFFF, true), (0x8000_0001, false), (0xA9FE_AA02, true),
      (0xA9FE_AA17, true),
      (0xA9FE_AA03, false), (0xA9FE_A9FE, false), (0, false),
    ] as [(UInt32, Bool)])
  func `allows credentials without TLS to few addresses`(address: UInt32, isAllowed: Bool) {
    #expect(isCredentialHost(address) == isAllowed)
  }
}
