import Glibc
import HTTPClient
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of `defender invoke` and `defender emulator` with a function that isn't the agent.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `A function of a developer` {
  private func invoke(_ options: [String]) async throws -> BuiltProgram.Result {
    let function = try BuiltProgram("echo-function").path
    return try await BuiltProgram("defender").run(["invoke", "--bootstrap", function] + options)
  }

  /// Starts the emulator with the echo function.
  private func startEmulator(_ options: [String], in directory: TemporaryDirectory) throws -> (
    program: ServerProgram, log: String
  ) {
    let function = try BuiltProgram("echo-function").path
    let started = try EndToEndTests.startEmulator(
      ["--port", "0", "--bootstrap", function] + options, in: directory)
    let log = String(decoding: try fileContents(started.log), as: UTF8.self)
    return (started.program, log)
  }

  @Test func `receives a sample event, which can be printed and edited`() async throws {
    let printed = try await BuiltProgram("defender").run(["invoke", "--sample", "sns", "--print"])
    #expect(printed.status == .code(0) && printed.errors == [])
    let event = try JSONValue(parsing: Array(printed.output.utf8))
    #expect(event["Records"]?.array?.first?["Sns"]?["Message"] != nil)
    for options in [["--sample", "sns"], ["--event", printed.output]] {
      let run = try await invoke(options)
      let answer = run.output.drop { $0 != "{" }
      #expect(try JSONValue(parsing: Array(answer.utf8)).prettyPrinted() == event.prettyPrinted())
    }
    let list = try await BuiltProgram("defender").run(["invoke", "--sample", "list"])
    #expect(list.output.split(separator: "\n").contains { $0.hasPrefix("sns  ") && $0.contains("SNS topic") })
  }

  @Test(arguments: [
    "", #"{"a":1,"a":2}"#, #"{"a":"\ud800"}"#,
    String(repeating: "[", count: 70) + String(repeating: "]", count: 70),
  ])
  func `receives an event that Lambda accepts, though this program's own JSON reader doesn't`(event: String)
    async throws
  {
    let run = try await invoke(["--event", event])
    #expect(run.status == .code(0), "\(run.errorText)")
  }

  @Test func `gets its handler's name, and shows the end of its log`() async throws {
    let run = try await invoke(["--event", #"{"ctx":1}"#, "--handler", "resize"])
    #expect(run.output.contains(#""functionName": "resize""#), "\(run.output)")
    #expect(!run.output.contains("REPORT RequestId"))
    let logged = try await invoke(["--event", #"{"log":1}"#, "--log-type", "Tail"])
    #expect(logged.output.contains("\nThe end of the log:\nSTART RequestId: "), "\(logged.output)")
    #expect(logged.output.contains("one line,") && logged.output.contains("\nREPORT RequestId: "))
    let managed = try await invoke(["--log-type", "Tail", "--env", "AWS_LAMBDA_MAX_CONCURRENCY=2"])
    #expect(managed.status == .code(0))
    #expect(managed.errorText.contains("--log-type Tail has no effect"), "\(managed.errorText)")
  }

  @Test func `runs beside others, each under its handler's name`() async throws {
    let directory = try TemporaryDirectory()
    let emulator = try startEmulator(["--handler", "resize", "--handler", "rotate"], in: directory)
    let urls = emulator.log.split { $0.isWhitespace }.filter { $0.hasPrefix("http://") }
    try #require(urls.count == 2)
    for (url, name) in zip(urls, ["resize", "rotate"]) {
      #expect(url.hasSuffix("/2015-03-31/functions/\(name)/invocations"))
      let answer = try await send("POST", String(url), #"{"ctx":1}"#)
      #expect(try JSONValue(parsing: answer.body)["functionName"]?.string == name)
    }
  }

  @Test func `answers a client of its function URL`() async throws {
    let directory = try TemporaryDirectory()
    let emulator = try startEmulator(["--function-url", "0"], in: directory)
    let line = try #require(emulator.log.split(separator: "\n").first { $0.contains("the function URL is ") })
    let url = try #require(line.split(separator: " ").last)
    // The function returns its event. That has no status code, so it is the body.
    let answer = try await send("POST", "\(url)orders?id=7", "hello")
    #expect(answer.status == 200)
    let event = try JSONValue(parsing: answer.body)
    #expect(event["rawPath"]?.string == "/orders" && event["rawQueryString"]?.string == "id=7")
    #expect(event["requestContext"]?["http"]?["method"]?.string == "POST")
  }

  @Test func `can't have a function URL at a port that is in use`() async throws {
    let server = try LoopbackServer(script: [])
    let run = try await BuiltProgram("defender").run(
      ["emulator", "--port", "0", "--function-url", "\(server.port)", "--bootstrap", "/bin/true"])
    #expect(run.status == .code(2))
    #expect(run.errorText.contains("Choose another port with --function-url"), "\(run.errorText)")
  }
}

/// Sends a request in a separate thread, because libcurl blocks.
func send(_ method: String, _ url: String, _ body: String) async throws -> HTTPResponse {
  try await Task.detached {
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    let request = HTTPRequest(method: method, url: url, headers: [], body: Array(body.utf8))
    return try exchange.exchange(request, timeout: .seconds(60))
  }.value
}
