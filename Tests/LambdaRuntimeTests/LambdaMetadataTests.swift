import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaRuntime

@Suite struct `The metadata of the environment` {
  private func environment(_ server: LoopbackServer) -> Environment {
    Environment(["AWS_LAMBDA_METADATA_API": server.authority, "AWS_LAMBDA_METADATA_TOKEN": "the-token"])
  }

  @Test func `comes from the metadata endpoint, with the token`() throws {
    let server = try LoopbackServer(script: [
      .response(200, body: #"{"AvailabilityZoneID":"use1-az1","More":1}"#)
    ])
    let metadata = try LambdaMetadata.current(environment(server))
    #expect(metadata?.availabilityZoneID == "use1-az1")
    let request = try #require(server.requests.first)
    #expect(request.path == "/2026-01-15/metadata/execution-environment")
    #expect(request["Authorization"] == "Bearer the-token")
  }

  @Test(arguments: [["AWS_LAMBDA_METADATA_API": "127.0.0.1:1"], ["AWS_LAMBDA_METADATA_TOKEN": "t"], [:]])
  func `is nil if a variable isn't set`(variables: [String: String]) throws {
    #expect(try LambdaMetadata.current(Environment(variables)) == nil)
  }

  @Test(
    arguments: [
      (.response(401, body: "no"), ["status 401", "no"]), (.response(200, body: "[]"), ["JSON object"]),
      (.response(200, body: "{"), ["JSON object"]), (.sendAndClose([]), ["without a reply"]),
    ] as [(LoopbackServer.Reply, [String])])
  func `can't be read, for a reason that names the address but not the token`(
    reply: LoopbackServer.Reply, words: [String]
  ) throws {
    let server = try LoopbackServer(script: [reply])
    let error = try #require(throws: MetadataError.self) { try LambdaMetadata.current(environment(server)) }
    #expect(words.allSatisfy(error.description.contains), "\(error)")
    #expect(error.description.contains(server.authority) && !error.description.contains("the-token"))
  }

  @Test(arguments: ["http://127.0.0.1:1", "nonsense", "127.0.0.1:1/x"])
  func `needs a valid address`(address: String) throws {
    let variables = ["AWS_LAMBDA_METADATA_API": address, "AWS_LAMBDA_METADATA_TOKEN": "the-token"]
    let error = try #require(throws: MetadataError.self) {
      try LambdaMetadata.current(Environment(variables))
    }
    #expect(error.description.contains("AWS_LAMBDA_METADATA_API is '\(address)'"))
  }
}

@Suite struct `The caller's W3C trace context` {
  private func traceContext(_ clientContext: String?) throws -> W3CTraceContext? {
    let headers = clientContext.map { [HeaderField("Lambda-Runtime-Client-Context", $0)] } ?? []
    return try Context(requestID: "id", deadline: .now, headers: headers).w3cTraceContext
  }

  @Test func `comes from the client context`() throws {
    let context = try #require(
      try traceContext(
        #"{"custom":{"a":1},"w3c":{"traceparent":"00-aa-bb-01","tracestate":"rojo=1","baggage":"user=é","x":"y"}}"#
      ))
    #expect(context.traceparent == "00-aa-bb-01")
    #expect(context.tracestate == "rojo=1")
    #expect(context.baggage == nil, "not ASCII, which the specification requires")
  }

  @Test(arguments: [
    nil, "", "{", "[]", "{}", #"{"w3c":{}}"#, #"{"w3c":"traceparent"}"#, #"{"w3c":{"traceparent":1}}"#,
    #"{"w3c":{"traceparent":"a\r\nHost: b"}}"#, #"{"w3c":{"tracestate":"a\u0000"}}"#,
  ])
  func `is nil if there is no usable one`(clientContext: String?) throws {
    #expect(try traceContext(clientContext) == nil)
  }
}
