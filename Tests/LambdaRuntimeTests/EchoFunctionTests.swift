import Foundation
import Glibc
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the echo function as a separate process.
@Suite struct `The echo function's handler` {
  @Test func `exits with status 0 if it is stopped while it waits for an event`() throws {
    let server = try LoopbackServer(script: [event("1"), accepted])
    let function = try EchoFunction(server.authority)
    // The third request is the poll that the server doesn't answer.
    #expect(server.requests(atLeast: 3).map(\.text) == ["", "1", ""])
    function.terminate()
    #expect(function.end() == "exit 0")
    #expect(function.log.contains("shutting down"))
  }

  @Test func `finishes the current invocation after a stop request, then exits with status 0`() throws {
    let working = Barrier(2)
    let asked = Barrier(2)
    let server = try LoopbackServer { request in
      guard request.method == "POST" else { return event("1") }
      // The server replies to the response only after the process has been asked to stop.
      _ = working.arrive()
      return asked.arrive() == nil ? .sendAndClose([]) : accepted
    }
    let function = try EchoFunction(server.authority)
    _ = working.arrive()
    function.terminate()
    _ = asked.arrive()
    #expect(function.end() == "exit 0")
    #expect(server.requests.map(\.method) == ["GET", "POST"])
    #expect(!function.log.contains("[ERROR]"))
  }

  @Test(arguments: ["Text", "JSON"])
  func `names the invocation in its last log line when the handler traps`(format: String) throws {
    let server = try LoopbackServer(script: [event(#"{"crash":1}"#, id: "the-crash"), event("2"), accepted])
    let first = try EchoFunction(server.authority, ["AWS_LAMBDA_LOG_FORMAT": format])
    #expect(first.end() == "signal \(SIGILL)")
    let line = try #require(first.log.split(separator: "\n").last)
    #expect(line.contains("the-crash") && line.contains("SIGILL"))
    if format == "JSON" {
      let document = try JSONValue(parsing: Array(line.utf8))
      #expect(document["requestId"]?.string == "the-crash")
      #expect(document["level"]?.string == "FATAL")
      #expect(document["timestamp"]?.string?.utf8.count == 24)
    }
    let second = try EchoFunction(server.authority)
    #expect(server.requests(atLeast: 4).filter { $0.method == "POST" }.map(\.text) == ["2"])
    second.terminate()
    #expect(second.end() == "exit 0")
  }

  @Test(arguments: [("Text", 0xA55A_001B), ("JSON", 0xA55A_001A)] as [(String, UInt32)])
  func `frames its last log line if Lambda provides a telemetry descriptor`(format: String, word: UInt32)
    throws
  {
    let server = try LoopbackServer(script: [event(#"{"crash":1}"#, id: "the-crash")])
    // Standard error takes the role of the descriptor that Lambda provides.
    let function = try EchoFunction(
      server.authority, ["AWS_LAMBDA_LOG_FORMAT": format, "_LAMBDA_TELEMETRY_LOG_FD": "2"])
    #expect(function.end() == "signal \(SIGILL)")
    // Swift's own message about a trap may come first, without a frame.
    let start = (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) }
    let bytes = function.logBytes
    let position = try #require(bytes.indices.last { bytes[$0...].starts(with: start) })
    let frame = bytes[position...]
    let length = frame.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
    #expect(frame.count == 16 + length)
    #expect(String(decoding: frame.dropFirst(16), as: UTF8.self).contains("the-crash"))
  }

  @Test func `reports an initialisation failure and exits with status 1`() throws {
    let server = try LoopbackServer(script: [accepted])
    let function = try EchoFunction(server.authority, ["BENCH_INIT_FAIL": "1"])
    #expect(function.end() == "exit 1")
    #expect(server.requests.map(\.path) == ["/2018-06-01/runtime/init/error"])
  }

  @Test(arguments: ["", "nowhere", "http://127.0.0.1:1"])
  func `exits with status 1 if the address of the Runtime API is invalid`(value: String) throws {
    let function = try EchoFunction(value)
    #expect(function.end() == "exit 1")
    #expect(function.log.contains("AWS_LAMBDA_RUNTIME_API is '\(value)'"))
  }

  @Test func `handles concurrent invocations in separate processes`() throws {
    let barrier = Barrier(3)
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      // Send no event until three polls are open.
      guard let number = barrier.arrive() else { return .hold }
      return event(#"{"ctx":1}"#, id: "id-\(number)")
    }
    let function = try EchoFunction(
      server.authority, ["AWS_LAMBDA_MAX_CONCURRENCY": "3", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"])
    // Three events, their answers, and the polls after them.
    let answers = server.requests(atLeast: 9).filter { $0.method == "POST" }
    #expect(Set(answers.map(\.path)).count == 3)
    #expect(Set(answers.map(\.connection)).count == 3)
    #expect(answers.allSatisfy { $0.text.contains($0.path.split(separator: "/")[3]) })
    for worker in try childProcesses(of: function.processID) {
      #expect(try processDescriptors(of: worker).isEmpty, "a worker inherited the parent's pidfds")
    }
    function.terminate()
    #expect(function.end() == "exit 0")
    #expect(function.log.contains("workerCount=3 executionEnvironmentMaxConcurrency=3"))
  }

  @Test(arguments: [false, true])
  func `replaces a worker that traps, and reports its invocation`(ignoresChildren: Bool) throws {
    let barrier = Barrier(1)
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      guard let number = barrier.arrive(), number <= 3 else { return .hold }
      return number == 1
        ? event(#"{"crash":1}"#, id: "the-crash", [("Lambda-Runtime-Invocation-Id", "its-attempt")])
        : event("2", id: "id-\(number)")
    }
    let function = try EchoFunction(
      server.authority, ["AWS_LAMBDA_MAX_CONCURRENCY": "2"], ignoresChildren: ignoresChildren)
    // Three events, their answers, and two pending polls.
    let requests = server.requests(atLeast: 8)
    let errors = requests.filter { $0.path.hasSuffix("/error") }
    #expect(errors.map(\.path) == ["/2018-06-01/runtime/invocation/the-crash/error"])
    #expect(errors.first?["Lambda-Runtime-Function-Error-Type"] == "Runtime.ExitError")
    #expect(errors.first?["Lambda-Runtime-Invocation-Id"] == "its-attempt")
    #expect(requests.count { $0.path.hasSuffix("/response") } == 2)
    #expect(function.log.contains("the-crash"))
    let workers = try childProcesses(of: function.processID)
    #expect(try workers.map { try processDescriptors(of: $0).count } == [0, 0])
    // The new worker may poll before its parent has opened a pidfd for it.
    let end = BootTime.now.advanced(by: .seconds(60))
    while try processDescriptors(of: function.processID).count < 2, BootTime.now < end { poll(nil, 0, 5) }
    #expect(try processDescriptors(of: function.processID).count == 2)
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `gives a new worker its own connection, not its parent's`() throws {
    let barrier = Barrier(1)
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      guard let number = barrier.arrive(), number <= 3 else { return .hold }
      return number == 3 ? event("3", id: "id-3") : event(#"{"crash":1}"#, id: "crash-\(number)")
    }
    let function = try EchoFunction(server.authority, ["AWS_LAMBDA_MAX_CONCURRENCY": "2"])
    let requests = server.requests(atLeast: 8)
    let answered = Set(requests.filter { $0.path.hasSuffix("/error") }.map(\.connection))
    let polled = Set(requests.filter { $0.path.hasSuffix("/next") }.map(\.connection))
    #expect(answered.count == 2)
    #expect(answered.isDisjoint(with: polled))
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `stops all workers and exits if one can't start`() throws {
    let server = try LoopbackServer { _ in accepted }
    let function = try EchoFunction(
      server.authority, ["AWS_LAMBDA_MAX_CONCURRENCY": "3", "BENCH_INIT_FAIL": "1"])
    #expect(function.end() == "exit 1")
    #expect(server.requests.allSatisfy { $0.path == "/2018-06-01/runtime/init/error" })
  }

  @Test func `ends a handler that keeps running after a stop request`() throws {
    let server = try LoopbackServer { _ in event(#"{"sleep":600000}"#, id: "the-sleep") }
    let function = try EchoFunction(server.authority)
    // A poll alone doesn't prove that the event has arrived.
    #expect(try function.logs("sleeping"))
    function.terminate()
    #expect(function.end() == "exit 0")
    let line = try #require(function.log.split(separator: "\n").last)
    #expect(line.contains("[ERROR]") && line.contains("the-sleep"))
    #expect(line.contains("8 seconds"))
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `ends an initialiser that keeps running after a stop request`(signal: Int32)
    throws
  {
    let server = try LoopbackServer { _ in accepted }
    let function = try EchoFunction(server.authority, ["BENCH_INIT_HANG": "1"])
    #expect(try function.logs("hanging"))
    kill(function.processID, signal)
    #expect(function.end() == "exit 0")
    #expect(function.log.split(separator: "\n").last?.contains("8 seconds") == true)
    #expect(server.requests.isEmpty)
  }

  @Test func `writes a handler's output to the log before it sends the response`() throws {
    let server = try LoopbackServer(script: [event(#"{"print":1}"#), accepted])
    let function = try EchoFunction(server.authority)
    // Wait for the response and the next poll, which shows that the process is still alive.
    _ = server.requests(atLeast: 3)
    #expect(function.isRunning)
    #expect(function.log.contains("one line, printed\n"))
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `keeps a handler's output out of the connection if all standard descriptors are closed`() throws
  {
    let print = #"{"print":1}"#
    let server = try LoopbackServer(script: [event(print), accepted, event(print), accepted])
    let directory = try TemporaryDirectory()
    let function = try ServerProgram(
      "/bin/sh", ["-c", "exec \"$0\" <&- >&- 2>&-", try builtProduct("echo-function").path],
      environment: ["AWS_LAMBDA_RUNTIME_API": server.authority], log: "\(directory.path)/log")
    let requests = server.requests(atLeast: 5)
    #expect(requests.map(\.text) == ["", print, "", print, ""])
    #expect(Set(requests.map(\.connection)).count == 1)
    // Check all three: the number that the socket would get depends on what is opened before it.
    #expect((0...2).map { function.target(ofDescriptor: $0) } == ["/dev/null", "/dev/null", "/dev/null"])
    function.terminate()
    let end = BootTime.now.advanced(by: .seconds(60))
    while function.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    #expect(function.waitStatus == 0)
  }

  @Test func `never mixes the log frames of workers that write long lines at the same time`() throws {
    let number = Mutex(0)
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      let next = number.withLock { number in
        number += 1
        return number
      }
      return next > 200 ? .hold : event(#"{"fill":20000}"#, id: "id-\(next % 10)")
    }
    let directory = try TemporaryDirectory()
    let pipe = try UnreadPipe(in: directory)
    _ = try pipe.drainBytes()
    let function = try ServerProgram(
      try builtProduct("echo-function").path, [],
      environment: [
        "AWS_LAMBDA_RUNTIME_API": server.authority, "AWS_LAMBDA_MAX_CONCURRENCY": "4",
        "AWS_LAMBDA_LOG_FORMAT": "JSON", "_LAMBDA_TELEMETRY_LOG_FD": "2",
      ], log: pipe.path)
    var bytes: [UInt8] = []
    let end = BootTime.now.advanced(by: .seconds(60))
    // Wait for all events, their answers, and a last poll from each of four workers.
    while server.requests.count < 404, BootTime.now < end {
      bytes += try pipe.drainBytes()
      poll(nil, 0, 1)
    }
    bytes += try pipe.drainBytes()
    function.terminate()
    var rest = bytes[...]
    var frames = 0
    while rest.count >= 16 {
      let size = 16 + rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
      try #require(size <= PIPE_BUF && size <= rest.count)
      let line = try JSONValue(parsing: Array(rest.prefix(size).dropFirst(16)))
      let message = try #require(line["message"]?.string)
      let letter = line["requestId"]?.string?.last
      #expect(message.hasPrefix("Lost ") || message.allSatisfy { $0 == letter || " …".contains($0) })
      rest = rest.dropFirst(size)
      frames += 1
    }
    #expect(rest.isEmpty)
    #expect(frames > 500)
  }

  @Test func `ends workers whose handlers keep running after a stop request`() throws {
    let server = try LoopbackServer { _ in event(#"{"sleep":600000}"#) }
    let function = try EchoFunction(server.authority, ["AWS_LAMBDA_MAX_CONCURRENCY": "2"])
    #expect(try function.logs("sleeping", inLines: 2))
    let workers = try childProcesses(of: function.processID)
    #expect(workers.count == 2)
    function.terminate()
    #expect(function.end() == "exit 0")
    #expect(workers.allSatisfy { kill($0, 0) != 0 && errno == ESRCH })
  }

  @Test func `restores the trace variable after a handler has changed it`() throws {
    let server = try LoopbackServer(script: [
      event(#"{"ctx":1}"#), accepted, event(#"{"setenv":1}"#), accepted,
      event(#"{"ctx":1}"#, without: ["Lambda-Runtime-Trace-Id"], [("Lambda-Runtime-Trace-Id", "Root=2")]),
      accepted, event(#"{"setenv":1}"#), accepted,
      event(#"{"ctx":1}"#, without: ["Lambda-Runtime-Trace-Id"]), accepted,
    ])
    let function = try EchoFunction(server.authority)
    let answers = server.requests(atLeast: 11).filter { $0.method == "POST" }
    let traces = try answers.map { try JSONValue(parsing: $0.body)["_X_AMZN_TRACE_ID"]?.string }
    #expect(traces == ["Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1", nil, "Root=2", nil, nil])
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `sets the trace variable for each invocation that has a trace`() throws {
    let server = try LoopbackServer(script: [
      event(#"{"ctx":1}"#), accepted, event(#"{"ctx":1}"#, without: ["Lambda-Runtime-Trace-Id"]), accepted,
      event(#"{"ctx":1}"#, without: ["Lambda-Runtime-Trace-Id"], [("Lambda-Runtime-Trace-Id", "Root=2")]),
      accepted,
    ])
    let function = try EchoFunction(server.authority, ["_X_AMZN_TRACE_ID": "left over"])
    let answers = server.requests(atLeast: 7).filter { $0.method == "POST" }
    let traces = try answers.map { try JSONValue(parsing: $0.body)["_X_AMZN_TRACE_ID"]?.string }
    #expect(traces == ["Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1", nil, "Root=2"])
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test(arguments: [[:], ["_X_AMZN_TRACE_ID": "left over"]])
  func `sets the trace without moving other environment variables`(
    inherited: [String: String]
  ) throws {
    let places = #"{"places":1}"#
    let none: Set = ["Lambda-Runtime-Trace-Id"]
    let server = try LoopbackServer(script: [
      event(places), accepted, event(places, without: none), accepted,
      event(places, without: none, [("Lambda-Runtime-Trace-Id", "Root=2")]), accepted,
      event(places, without: none), accepted,
    ])
    let function = try EchoFunction(server.authority, inherited)
    let answers = server.requests(atLeast: 9).filter { $0.method == "POST" }.map(\.text)
    #expect(answers.count == 4 && Set(answers).count == 1, "\(answers)")
    function.terminate()
    #expect(function.end() == "exit 0")
  }

  @Test func `doesn't need more memory after more events`() throws {
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: 1_048_576)
    let answer = LoopbackServer.Reply.response(200, [("Lambda-Runtime-Aws-Request-Id", "a")], body: body)
    let server = try LoopbackServer { $0.method == "GET" ? .send(answer) : accepted }
    let function = try EchoFunction(server.authority)
    _ = server.requests(atLeast: 6)
    let before = try peakMemory(of: function.processID)
    _ = server.requests(atLeast: 36)
    #expect(try peakMemory(of: function.processID) < before + 1_024)
  }

  private func childProcesses(of process: Int32) throws -> [Int32] {
    let path = "/proc/\(process)/task/\(process)/children"
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").compactMap { Int32($0) }
  }

  /// The open pidfds of a process (pidfd_open(2)).
  private func processDescriptors(of process: Int32) throws -> [String] {
    let folder = "/proc/\(process)/fd"
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { name in
      // Skips a descriptor that has been closed in the meantime.
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)"))?.contains("[pidfd]")
        == true
    }
  }

  /// The peak resident memory of a process, in kilobytes.
  private func peakMemory(of process: Int32) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(line.split(separator: " ").dropLast().last.flatMap { Int($0) })
  }
}

/// Blocks callers until a number of them have arrived.
final class Barrier: @unchecked Sendable {
  private let changed = NSCondition()
  private let needed: Int
  private var arrived = 0

  init(_ needed: Int) { self.needed = needed }

  /// Returns the caller's number; nil if the others don't arrive within a minute or have already passed.
  func arrive() -> Int? {
    changed.withLock {
      arrived += 1
      let number = arrived
      changed.broadcast()
      let end = Date(timeIntervalSinceNow: 60)
      while arrived < needed, changed.wait(until: end) {}
      return arrived < needed || (needed > 1 && number > needed) ? nil : number
    }
  }
}
