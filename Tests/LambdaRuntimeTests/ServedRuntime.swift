import Foundation
import Platform
import TestSupport

@testable import LambdaRuntime

/// The result of running the runtime against a scripted Runtime API.
struct ServedRuntime {
  let requests: [LoopbackServer.Request]
  let log: [String]
  let error: RuntimeAPIError?

  /// The requests other than polls.
  var answers: [LoopbackServer.Request] { requests.filter { $0.method == "POST" } }
  var polls: Int { requests.count { $0.path == "/2018-06-01/runtime/invocation/next" } }

  /// Runs until the script is used up and the runtime has sent one more request. Requests that `rejects` rejects don't count.
  init(
    ipv6: Bool = false, variables: [String: String] = [:], options: ServeOptions = ServeOptions(),
    rejects: @escaping @Sendable (LoopbackServer.Request) -> [UInt8]? = { _ in nil },
    script: [LoopbackServer.Reply], handler: some Handler
  ) throws {
    try self.init(ipv6: ipv6, variables, options, rejects: rejects, script) {
      server, _ throws(RuntimeAPIError) in
      try server.run { handler }
    }
  }

  init<Function: Handler & ~Copyable>(
    variables: [String: String] = [:], script: [LoopbackServer.Reply], makeHandler: (Log) throws -> Function
  ) throws {
    try self.init(ipv6: false, variables, ServeOptions(), script) { server, startup throws(RuntimeAPIError) in
      try server.run { try makeHandler(startup.log) }
    }
  }

  /// Serves what `makeHandler` creates from the same start as a function's own.
  static func started<Function: Handler & ~Copyable>(
    _ variables: [String: String] = [:], _ script: [LoopbackServer.Reply],
    _ makeHandler: (Startup) throws -> Function
  ) throws -> ServedRuntime {
    try ServedRuntime(ipv6: false, variables, ServeOptions(), script) {
      server, startup throws(RuntimeAPIError) in
      try server.run { try makeHandler(startup) }
    }
  }

  init(variables: [String: String], script: [LoopbackServer.Reply], functions: Functions) throws {
    try self.init(ipv6: false, variables, ServeOptions(), script, functions.serve)
  }

  private init(
    ipv6: Bool, _ variables: [String: String], _ options: ServeOptions,
    rejects: @escaping @Sendable (LoopbackServer.Request) -> [UInt8]? = { _ in nil },
    _ script: [LoopbackServer.Reply],
    _ serve: (Server, Startup) throws(RuntimeAPIError) -> Void
  ) throws {
    let stop = try StopSwitch()
    let rest = Rest(script)
    let rejections = Lines()
    let scripted = try LoopbackServer(
      ipv6: ipv6,
      rejects: { request in
        let rejection = rejects(request)
        if rejection != nil { rejections.append(request.path) }
        return rejection
      }
    ) { _ in
      if let reply = rest.next() { return reply }
      stop.stop()
      return .hold
    }
    let lines = Lines()
    let log = Log(level: .debug) { _, line in lines.append(String(decoding: line, as: UTF8.self)) }
    let environment = Environment(
      variables.merging(["AWS_LAMBDA_RUNTIME_API": scripted.authority]) { given, _ in given })
    let shutdown = try stop.signal()
    let server = Server(environment: environment, log: log, shutdown: shutdown, options: options)
    var failure: RuntimeAPIError?
    do throws(RuntimeAPIError) {
      try serve(server, Startup(environment: environment, log: log, shutdown: shutdown))
    } catch {
      failure = error
    }
    error = failure
    requests = scripted.requests(
      atLeast: script.count + rejections.all.count + (failure == nil ? 1 : 0))
    self.log = lines.all
  }
}

private final class Rest: @unchecked Sendable {
  private let lock = NSLock()
  private var replies: [LoopbackServer.Reply]

  init(_ replies: [LoopbackServer.Reply]) { self.replies = replies }

  func next() -> LoopbackServer.Reply? {
    lock.withLock { replies.isEmpty ? nil : replies.removeFirst() }
  }
}

private final class Lines: @unchecked Sendable {
  private let lock = NSLock()
  private var lines: [String] = []

  func append(_ line: String) { lock.withLock { lines.append(line) } }
  var all: [String] { lock.withLock { lines } }
}

/// A handler that calls a closure.
struct TestHandler: Handler {
  let body: (Event, Context) throws -> Response

  init(_ body: @escaping (Event, Context) throws -> Response) { self.body = body }

  func handle(_ event: Event, _ context: Context) throws -> Response { try body(event, context) }

  /// Returns each event unchanged.
  static var echo: TestHandler { TestHandler { event, _ in Response(json: event.bytes) } }
}

/// Returns a reply to a poll, with an event and the headers that Lambda sends.
func event(
  _ body: String = "{}", id: String = "5f3a1c9e-7b2d-4e8f-a1b0-000000000001",
  without missing: Set<String> = [], _ more: [(name: String, value: String)] = []
) -> LoopbackServer.Reply {
  let fields = [
    ("Content-Type", "application/json"), ("Lambda-Runtime-Aws-Request-Id", id),
    ("Lambda-Runtime-Deadline-Ms", "4102444800000"),
    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:012345678912:function:f"),
    ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1"),
  ].filter { !missing.contains($0.0) }
  return .response(200, fields.map { (name: $0.0, value: $0.1) } + more, body: body)
}

/// Returns a reply to a poll, with an event whose deadline is `milliseconds` from now.
func event(_ body: String, id: String, endingIn milliseconds: Int64) -> LoopbackServer.Reply {
  let deadline = WallTime.now.nanosecondsSinceEpoch / 1_000_000 + milliseconds
  return event(
    body, id: id, without: ["Lambda-Runtime-Deadline-Ms"], [("Lambda-Runtime-Deadline-Ms", "\(deadline)")])
}

/// The Runtime API's reply to an accepted answer.
let accepted = LoopbackServer.Reply.response(202, body: #"{"status":"OK"}"#)
