import Glibc
import LambdaEmulator
import NIOCore
import NIOHTTP1
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of streamed responses, in which the test itself uses the Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `A streamed response in the emulator` {
  private let next = "/2018-06-01/runtime/invocation/next"

  @Test(arguments: [false, true])
  func `passes on a streamed response and an error in its trailers`(fails: Bool) async throws {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"), HeaderField("Content-Type", "text/x"),
        HeaderField("Trailer", "Lambda-Runtime-Function-Error-Type"),
      ]
      let taken = try await client.exchange(.POST, event.responseTarget, headers) { writer in
        for piece in ["one ", "two ", "three"] {
          try await writer.write(.body(.byteBuffer(ByteBuffer(string: piece))))
        }
        try await writer.write(.end(fails ? ["Lambda-Runtime-Function-Error-Type": "Function.Late"] : nil))
      }
      #expect(taken.status == 202)
      let received = try await answer
      #expect(received.text == "one two three")
      #expect(received.header("Content-Type") == "text/x")
      let trailer = received.trailers.first { $0.name == "X-Amz-Function-Error" }
      #expect(trailer?.value == (fails ? "Unhandled" : nil))
      let type = received.trailers.first { $0.name == "Lambda-Runtime-Function-Error-Type" }
      #expect(type?.value == (fails ? "Function.Late" : nil))
    }
  }

  @Test(
    arguments: [
      (["Type": "Function.Late", "Body": "eyJlIjoxfQ=="], #"{"e":1}"#),
      (["Type": "Function.Late"], #"{"errorType":"Function.Late"}"#),
      (["Type": "Function.Late", "Body": "not Base64!"], #"{"errorType":"Function.Late"}"#),
      (["Type": "Function.Late", "Body": ""], #"{"errorType":"Function.Late"}"#),
      (["Type": "nonsense"], #"{"errorType":"Runtime.Unknown"}"#),
    ] as [([String: String], String)])
  func `passes on the error of a stream, even if the runtime sends no valid document`(
    trailers: [String: String], document: String
  ) async throws {
    try await withEmulator { emulator, client in
      async let result = emulator.invoke(InvocationRequest(event: [])).complete()
      let event = try await client.get(next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"),
      ]
      let fields = HTTPHeaders(trailers.map { ("Lambda-Runtime-Function-Error-\($0.key)", $0.value) })
      _ = try await client.exchange(.POST, event.responseTarget, headers) { writer in
        try await writer.write(.body(.byteBuffer(ByteBuffer(string: "one"))))
        try await writer.write(.end(fields))
      }
      let received = await result
      #expect(received.failure == .stream)
      #expect(received.body == Array("one".utf8))
      #expect(received.streamError.map { String(decoding: $0, as: UTF8.self) } == document)
    }
  }

  @Test func `interrupts a streamed response if the runtime does`() async throws {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"),
      ]
      try await client.breakOff(event.responseTarget, headers, after: "one")
      let received = try? await answer
      #expect(received == nil, "the caller got a complete response, but the function's was truncated")
      // The next invocation starts clean.
      async let second = client.post(invokeTarget, "second")
      let polled = try await client.get(next)
      #expect(polled.text == "second")
      #expect(try await client.post(polled.responseTarget, "2").status == 202)
      #expect(try await second.text == "2")
    }
  }

  @Test func `fails an invocation whose process ends during a stream, but not the next one`() async throws {
    let (pids, started) = AsyncStream.makeStream(of: Int32.self)
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output(let line) = event, let process = Int32(line) { started.yield(process) }
    }
    try await withEmulator(script: "echo $$; exec sleep 600", report: report) { emulator, client in
      let answer = Task { await emulator.invoke(InvocationRequest(event: Array("first".utf8))) }
      let event = try await client.get(next)
      var iterator = pids.makeAsyncIterator()
      let process = try #require(await iterator.next())
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"),
      ]
      // The connection outlives the process, as it does if another process shares it.
      _ = try await client.exchange(.POST, event.responseTarget, headers) { writer in
        try await writer.write(.body(.byteBuffer(ByteBuffer(string: "one"))))
        // The caller receives the stream as soon as it begins.
        let stream = await answer.value
        kill(process, SIGKILL)
        let received = await stream.complete()
        #expect(received.failure == .stream)
        let error = try JSONValue(parsing: try #require(received.streamError))
        #expect(error["errorMessage"]?.string?.hasSuffix("signal: killed") == true, "\(error)")
        async let second = client.post(invokeTarget, "second")
        let polled = try await client.get(next)
        #expect(polled.text == "second")
        try await writer.write(.end(nil))
        #expect(try await client.post(polled.responseTarget, "2").status == 202)
        #expect(try await second.text == "2")
      }
    }
  }
}
