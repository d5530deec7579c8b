import LambdaEvents
import LambdaRuntime
import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaEmulator

/// Tests of the function URL's messages with the types that a function uses for them.
@Suite struct `The messages of a function URL` {
  @Test(arguments: [Array("text".utf8), [0xFF, 0x00, 0x80], []])
  func `are read by LambdaEvents`(body: [UInt8]) throws {
    let request = ReceivedRequest(
      method: "PATCH", target: "/orders/7?q=two+words&q=%C3%A9",
      headers: [
        HeaderField("Host", "localhost"), HeaderField("Cookie", "a=1; b=2"), HeaderField("X-Tag", "one"),
        HeaderField("X-Tag", "two"), HeaderField("Content-Type", "text/plain"),
      ])
    let time = WallTime(millisecondsSinceEpoch: 1_794_824_430_123)
    let event = FunctionURLEvent(
      request: request, body: body, region: "eu-west-1", port: 8080, requestID: "id-7", traceID: "Root=1-2",
      time: time)
    let read = try FunctionURLRequest(Event(event.bytes))
    #expect(read.method == "PATCH" && read.path == "/orders/7" && read.body == body)
    #expect(read.queryItems == [QueryItem("q", "two words"), QueryItem("q", "é")])
    #expect(read.cookies == ["a=1", "b=2"] && read.header("x-tag") == "one,two")
    #expect(read.sourceAddress == "127.0.0.1" && read.requestID == "id-7" && read.time == time)
    #expect(read.json["requestContext"]?["time"]?.string == "16/Nov/2026:10:20:30 +0000")
  }

  @Test(arguments: [Array("text".utf8), [0xFF, 0x00, 0x80], []])
  func `are written by LambdaEvents`(body: [UInt8]) throws {
    let request = try FunctionURLRequest(
      Event(Array(#"{"requestContext":{"http":{"method":"GET"}},"rawPath":"/"}"#.utf8)))
    var response = HTTPResponse(statusCode: 418, headers: [HeaderField("X-A", "1")], cookies: ["a=1", "b=2"])
    response.body = body
    let answer = try FunctionURLResponse.answer(to: request.response(with: response).body)
    #expect(answer.status == 418)
    #expect(
      answer.headers == [
        HeaderField("X-A", "1"), HeaderField("Set-Cookie", "a=1"), HeaderField("Set-Cookie", "b=2"),
        HeaderField("Content-Type", "application/json"),
      ])
    guard case .bytes(let bytes) = answer.body else {
      Issue.record("the body is a stream")
      return
    }
    #expect(bytes == body)
  }

  @Test func `can be damaged without harm`() {
    var random = SeededRandom(seed: 24)
    let whole =
      #"{"statusCode":200,"headers":{"a":"b"},"cookies":["c=1"],"body":"aGk=","isBase64Encoded":true}"#
    let stream = Array(whole.utf8) + [UInt8](repeating: 0, count: 8) + Array("body".utf8)
    var accepted = 0
    for _ in 1...20_000 {
      if (try? FunctionURLResponse.answer(to: damaged(Array(whole.utf8), using: &random))) != nil {
        accepted += 1
      }
      var prelude = StreamPrelude()
      let bytes = damaged(stream, using: &random)
      let middle = bytes.count / 2
      _ = try? prelude.append(Array(bytes[..<middle]))
      _ = try? prelude.append(Array(bytes[middle...]))
    }
    // Some damage is in a text and does no harm.
    #expect(accepted > 100 && accepted < 20_000)
  }
}
