import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the asynchronous echo function as a separate process.
@Suite(.ownThreads, .timeLimit(.minutes(10))) struct `The asynchronous echo function` {
  private func start(
    _ server: LoopbackServer, _ variables: [String: String] = [:]
  ) throws -> EchoFunction {
    try EchoFunction(server.authority, variables, program: "async-echo-function")
  }

  private func errorTypes(_ requests: [LoopbackServer.Request]) -> [String?] {
    requests.filter { $0.method == "POST" }.map { $0["Lambda-Runtime-Function-Error-Type"] }
  }

  @Test func `runs on the main thread, and so do its child tasks and the main actor`() throws {
    let server = try LoopbackServer(script: [
      event(#"{"threads":1}"#), accepted, event("2", id: "b"), accepted,
    ])
    let function = try start(server)
    let answers = server.requests(atLeast: 5).filter { $0.method == "POST" }
    #expect(
      answers.map(\.text) == [
        #"{"handler":true,"child":true,"mainActor":true,"detached":false,"afterwards":true}"#, "2",
      ])
    function.terminate()
    #expect(function.end() == "exit 0")
    #expect(function.log.contains("shutting down"))
  }

  @Test func `reports an error, one in a stream, and a trap`() throws {
    let server = try LoopbackServer(script: [
      event(#"{"fail":1}"#, id: "a"), accepted, event(#"{"stream":"fail"}"#, id: "b"), accepted,
      event(#"{"crash":1}"#, id: "the-trap"),
    ])
    let function = try start(server)
    #expect(["signal \(SIGILL)", "signal \(SIGTRAP)"].contains(function.end()))
    let answers = server.requests(atLeast: 5).filter { $0.method == "POST" }
    #expect(errorTypes(answers) == ["Function.Failed", "Function.Failed"])
    #expect(answers.map { $0.path.split(separator: "/").last } == ["error", "response"])
    #expect(answers.last?.text == "first part, second part")
    #expect(function.log.contains("\tthe-trap\tThe handler crashed with SIG"))
  }

  @Test(arguments: [("sleep", "woken"), ("spin", "stopped spinning")])
  func `is cancelled shortly before its deadline, while it waits and while it computes`(
    key: String, words: String
  ) throws {
    let first = event("{\"\(key)\":1}", id: "the-late-one", endingIn: 3_000)
    let server = try LoopbackServer(script: [first, accepted, event("2", id: "b"), accepted])
    let function = try start(server)
    let requests = server.requests(atLeast: 5)
    #expect(errorTypes(requests) == ["Function.DeadlineExceeded", nil])
    #expect(requests.first { $0.path.hasSuffix("/error") }?.path.contains("/the-late-one/") == true)
    #expect(function.log.contains("\tthe-late-one\t\(words)"))
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test(arguments: [("sleep", "sleeping"), ("spin", "spinning")], [SIGTERM, SIGINT])
  func `is cancelled by a stop request, and its process exits in order`(
    handler: (key: String, words: String), signal: Int32
  ) throws {
    let server = try LoopbackServer(script: [event("{\"\(handler.key)\":1}"), accepted])
    let function = try start(server)
    #expect(try function.logs(handler.words))
    kill(function.processID, signal)
    #expect(function.end() == "exit 0")
    #expect(errorTypes(server.requests) == ["Function.Stopped"])
    #expect(function.log.contains("shutting down"))
    #expect(!function.log.contains("Ending the process"))
  }

  @Test func `leaves a line in the log if its cancellation handler traps`() throws {
    let server = try LoopbackServer(script: [event(#"{"traponcancel":1}"#, id: "the-trap")])
    let function = try start(server)
    #expect(try function.logs("sleeping"))
    kill(function.processID, SIGTERM)
    #expect(["signal \(SIGILL)", "signal \(SIGTRAP)"].contains(function.end()))
    #expect(function.log.contains("\tthe-trap\tThe handler crashed with SIG"))
  }

  @Test func `has its work after a response cancelled by the deadline and by a stop request`() throws {
    let first = event(#"{"thensleep":1}"#, id: "first", endingIn: 3_000)
    let server = try LoopbackServer(script: [
      first, accepted, event(#"{"thensleep":1}"#, id: "second"), accepted,
    ])
    let function = try start(server)
    // The third request is the next poll, which comes after the work.
    #expect(server.requests(atLeast: 3)[1].text == #"{"thensleep":1}"#)
    let failed = "Work after the response failed: Function"
    #expect(function.log.contains("\tfirst\t\(failed).DeadlineExceeded"))
    #expect(try function.logs("\tsecond\tsleeping"))
    function.terminate()
    #expect(function.end() == "exit 0")
    #expect(function.log.contains("\tsecond\t\(failed).Stopped"))
    #expect(errorTypes(server.requests) == [nil, nil])
  }

  @Test func `logs from a child task with the request ID and fields`() throws {
    let server = try LoopbackServer(script: [event(#"{"log":1}"#, id: "id-1"), accepted])
    let function = try start(server, ["AWS_LAMBDA_LOG_FORMAT": "JSON"])
    #expect(try function.logs("from a child task"))
    let line = try #require(function.log.split(separator: "\n").first { $0.contains("from a child task") })
    let document = try JSONValue(parsing: Array(line.utf8))
    #expect(document["requestId"]?.string == "id-1")
    #expect(document["number"]?.integer() == 1)
    #expect(document["level"]?.string == "INFO")
  }

  @Test func `works in each of several worker processes`() throws {
    let barrier = Barrier(2)
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      guard let number = barrier.arrive() else { return .hold }
      return event(#"{"threads":1}"#, id: "id-\(number)")
    }
    let function = try start(server, ["AWS_LAMBDA_MAX_CONCURRENCY": "2"])
    let answers = server.requests(atLeast: 6).filter { $0.method == "POST" }
    #expect(Set(answers.map(\.connection)).count == 2)
    #expect(answers.allSatisfy { $0.text.contains(#""mainActor":true"#) })
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `reports an initialisation failure and exits with status 1`() throws {
    let server = try LoopbackServer(script: [accepted])
    let function = try start(server, ["BENCH_INIT_FAIL": "1"])
    #expect(function.end() == "exit 1")
    #expect(server.requests.map(\.path) == ["/2018-06-01/runtime/init/error"])
  }
}
