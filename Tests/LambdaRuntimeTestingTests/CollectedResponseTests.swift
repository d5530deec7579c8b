import LambdaRuntime
import LambdaRuntimeAsync
import LambdaRuntimeTesting
import Platform
import TestSupport
import Testing

@Suite struct `A collected response` {
  private struct Broken: Error, CustomStringConvertible {
    let description = "it broke"
  }

  /// The synchronous form; tests that are asynchronous get the other one.
  private func collected(_ response: Response) throws -> ReceivedResponse { try response.collected() }

  @Test func `has the body of a response`() throws {
    let received = try collected(Response(Array("hello".utf8), contentType: "text/plain"))
    #expect(received.text == "hello")
    #expect(received.contentType == "text/plain")
  }

  @Test func `fails if the response is too large`() throws {
    let response = Response(json: [UInt8](repeating: 0x20, count: 6_291_557))
    #expect(throws: InvocationFailure.self) { try collected(response) }
    #expect(try collected(Response(json: [UInt8](repeating: 0x20, count: 6_291_556))).body.count == 6_291_556)
  }

  @Test func `joins the parts of a stream`() throws {
    let received = try collected(
      Response(streaming: "text/plain") { stream in
        for part in ["one, ", "", "two"] { try stream.write(Array(part.utf8)) }
      })
    #expect(received.text == "one, two")
    #expect(received.interruption == nil)
  }

  @Test func `has what was sent before an error`() throws {
    let received = try collected(
      Response(streaming: "text/plain") { stream in
        try stream.write(Array("one".utf8))
        throw Broken()
      })
    #expect(received.text == "one")
    #expect(received.interruption == InvocationFailure(type: "Function.Broken", message: "it broke"))
    #expect(throws: InvocationFailure(type: "Function.Broken", message: "it broke")) {
      try collected(Response(streaming: "text/plain") { _ in throw Broken() })
    }
  }

  @Test func `separates the prelude of an HTTP response`() throws {
    let prelude = HTTPPrelude(
      statusCode: 201, headers: [HeaderField("Content-Type", "text/html")], cookies: ["a=b", "c=d"])
    let received = try collected(
      Response(streaming: prelude) { stream in try stream.write([0x3C, 0, 0x3E]) })
    #expect(received.body == [0x3C, 0, 0x3E])
    #expect(received.prelude?.statusCode == 201)
    #expect(received.prelude?.headers == [HeaderField("Content-Type", "text/html")])
    #expect(received.prelude?.cookies == ["a=b", "c=d"])
  }

  @Test func `may be written by asynchronous code`() async throws {
    let response = Response(streaming: "text/plain") { stream in
      let part = await Task.detached { "part" }.value
      try stream.write(Array(part.utf8))
    }
    #expect(try await response.collected().text == "part")
  }

  @Test func `belongs to a handler that is called with a context for tests`() throws {
    struct Remaining: Handler {
      func handle(_ event: Event, _ context: Context) -> Response {
        Response(json: Array("\(context.remainingTime > .seconds(30)) \(context.functionName ?? "")".utf8))
      }
    }
    let context = Context.forTesting(timeout: .seconds(60), environment: ["AWS_LAMBDA_FUNCTION_NAME": "name"])
    let response = Remaining().handle(Event("{}"), context)
    #expect(try collected(response).text == "true name")
    #expect(Context.forTesting(timeout: .seconds(-1)).remainingTime == .zero)
    #expect(Context.forTesting(requestID: "id").requestID == "id")
  }
}
