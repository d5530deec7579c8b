import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the built `bootstrap` with a faulty Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `bootstrap and the Runtime API` {
  /// Replies to a poll that contain no event.
  enum BadPoll: CaseIterable, Sendable {
    case internalError, forbidden, notFound, noContent, garbage, nothing, cutOff, noRequestID, endlessHeader

    var reply: LoopbackServer.Reply {
      switch self {
      case .internalError: .response(500, body: "no")
      case .forbidden: .response(403, body: #"{"errorType":"InvalidStateTransition"}"#)
      case .notFound: .response(404)
      case .noContent: .response(204)
      case .garbage: .sendAndClose((0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 97) })
      case .nothing: .sendAndClose([])
      case .cutOff:
        .sendAndClose(
          Array("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: x\r\nContent-Length: 99\r\n\r\n{".utf8))
      case .noRequestID: .response(200, body: "{}")
      case .endlessHeader:
        .sendAndClose(Array("HTTP/1.1 200 OK\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 1 << 20))
      }
    }
  }

  @Test(arguments: BadPoll.allCases)
  func `polls again after a reply without an event`(bad: BadPoll) async throws {
    let api = try ScriptedRuntimeAPI(polls: [bad.reply, bad.reply, event("a")])
    let run = try await api.serve(check: { post in
      #expect(post.path == "/2018-06-01/runtime/invocation/a/response")
      let answer = try JSONValue(parsing: post.body)
      #expect(answer["ended"]?.string == "reports")
    })
    #expect(run.status == .code(0), "\(run.errorText)")
    // It also logs that.
    #expect(run.errorText.contains("[WARN]") || run.errorText.contains("[ERROR]"))
  }

  /// Faulty replies to the answer of an invocation.
  static let badAcknowledgements: [(String, LoopbackServer.Reply)] = [
    ("500", .response(500, body: "no")), ("400", .response(400, body: "{")), ("403", .response(403)),
    ("413", .response(413, body: #"{"errorType":"RequestEntityTooLarge"}"#)),
    ("no answer", .sendAndClose([])),
    ("garbage", .sendAndClose(Array("hello\r\n\r\n".utf8))), ("204", .response(204)),
  ]

  @Test(arguments: badAcknowledgements.map(\.0))
  func `handles the next event after a faulty reply to a response`(name: String) async throws {
    let bad = try #require(Self.badAcknowledgements.first { $0.0 == name }).1
    let api = try ScriptedRuntimeAPI(polls: [event("a"), event("b")], posts: [bad])
    let run = try await api.serve(until: { $0.path == "/2018-06-01/runtime/invocation/b/response" })
    #expect(run.status == .code(0), "\(run.errorText)")
  }

  @Test func `exits with an error that names the address if nothing listens`() async throws {
    let run = try await BuiltProgram("bootstrap").run(environment: variables(api: "127.0.0.1:1"))
    #expect(run.isErrorExit)
    #expect(run.errors.last?.contains("127.0.0.1:1") == true)
  }

  @Test(arguments: [nil, "", "nonsense", "127.0.0.1:99999", "http://127.0.0.1:9001", ":"])
  func `exits with an error if the address is missing or invalid`(address: String?) async throws {
    let run = try await BuiltProgram("bootstrap").run(environment: variables(api: address))
    #expect(run.isErrorExit)
    #expect(run.errors.last?.contains("AWS_LAMBDA_RUNTIME_API") == true, "\(run.errorText)")
  }

  @Test func `reports an initialisation failure before it exits with an error`() async throws {
    let api = try ScriptedRuntimeAPI(polls: [])
    let check = { (post: LoopbackServer.Request) in
      #expect(post.path == "/2018-06-01/runtime/init/error")
      #expect(post["Lambda-Runtime-Function-Error-Type"]?.hasPrefix("Function.") == true)
      let error = try JSONValue(parsing: post.body)
      #expect(error["errorMessage"]?.string?.contains("AWS_IOT_THING_NAME") == true)
      #expect(error["stackTrace"]?.array != nil)
    }
    let run = try await api.serve(["AWS_IOT_THING_NAME": ""], check: check)
    #expect(run.isErrorExit)
    #expect(run.errors.last?.contains("AWS_IOT_THING_NAME") == true)
    #expect(api.polls == 0)
  }

  @Test func `runs the handler that _HANDLER names, and no other`() async throws {
    let api = try ScriptedRuntimeAPI(polls: [])
    let check = { (post: LoopbackServer.Request) in
      let error = try JSONValue(parsing: post.body)
      let message = error["errorMessage"]?.string ?? ""
      #expect(message.contains("DETECT_TABLE isn't set") && !message.contains("AWS_IOT_THING_NAME"))
    }
    let run = try await api.serve(["AWS_IOT_THING_NAME": "", "_HANDLER": "detect_handler"], check: check)
    #expect(run.isErrorExit)
    #expect(api.polls == 0)
  }

  @Test func `exits with an error even if it can't report its initialisation failure`() async throws {
    let run = try await BuiltProgram("bootstrap").run(
      environment: variables(api: "127.0.0.1:1").merging(["AWS_IOT_THING_NAME": ""]) { _, new in new })
    #expect(run.isErrorExit)
    #expect(run.errorText.contains("AWS_IOT_THING_NAME"))
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `exits immediately with status 0 if it is stopped while it polls`(signal: Int32) async throws {
    let api = try ScriptedRuntimeAPI(polls: [event("a")])
    // Send the signal after its response has arrived, when the next poll is pending or about to start.
    let run = try await api.serve(signal: signal)
    #expect(run.status == .code(0), "\(run.errorText)")
  }
}

/// A reply to a poll with an event that requests a dry run.
private func event(_ id: String) -> LoopbackServer.Reply {
  // The deadline counts from here, and on a busy machine the program may start late.
  let deadline = WallTime.now.advanced(by: .seconds(3_600)).nanosecondsSinceEpoch / 1_000_000
  return .response(
    200, [("Lambda-Runtime-Aws-Request-Id", id), ("Lambda-Runtime-Deadline-Ms", String(deadline))],
    body: #"{"reports":1,"dry_run":true}"#)
}

private func variables(api: String?) -> [String: String] {
  var variables = [
    "AWS_REGION": "us-east-1", "AWS_IOT_THING_NAME": "t", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://127.0.0.1:1",
  ]
  variables["AWS_LAMBDA_RUNTIME_API"] = api
  return variables
}

/// A Runtime API with scripted replies. It leaves further polls pending and accepts further answers.
private struct ScriptedRuntimeAPI {
  private let script: Script
  private let server: LoopbackServer

  /// The remaining replies, and the requests received.
  private final class Script: Sendable {
    let state: Mutex<(polls: [LoopbackServer.Reply], posts: [LoopbackServer.Reply], pollCount: Int)>
    let posted: AsyncStream<LoopbackServer.Request>
    let continuation: AsyncStream<LoopbackServer.Request>.Continuation

    init(polls: [LoopbackServer.Reply], posts: [LoopbackServer.Reply]) {
      state = Mutex((polls, posts, 0))
      (posted, continuation) = AsyncStream.makeStream()
    }

    func reply(to request: LoopbackServer.Request) -> LoopbackServer.Reply {
      state.withLock { state in
        if request.method == "GET" {
          state.pollCount += 1
          return state.polls.isEmpty ? .hold : state.polls.removeFirst()
        }
        continuation.yield(request)
        return state.posts.isEmpty ? .response(202, body: #"{"status":"OK"}"#) : state.posts.removeFirst()
      }
    }
  }

  init(polls: [LoopbackServer.Reply], posts: [LoopbackServer.Reply] = []) throws {
    let script = Script(polls: polls, posts: posts)
    self.script = script
    server = try LoopbackServer { script.reply(to: $0) }
  }

  var polls: Int { script.state.withLock { $0.pollCount } }

  /// Runs the built `bootstrap` until it has posted the expected answer, and then sends `signal`.
  func serve(
    _ changes: [String: String] = [:], signal: Int32 = SIGTERM,
    until isLast: (LoopbackServer.Request) -> Bool = { _ in true },
    check: (LoopbackServer.Request) throws -> Void = { _ in }
  ) async throws -> BuiltProgram.Result {
    let (signals, sender) = AsyncStream.makeStream(of: Int32.self)
    let environment = variables(api: server.authority).merging(changes) { _, new in new }
    let bootstrap = try BuiltProgram("bootstrap")
    let run = Task { [script] in
      // If it exits by itself, stop waiting.
      defer { script.continuation.finish() }
      return try await bootstrap.run(environment: environment, signals: signals)
    }
    var last: LoopbackServer.Request?
    for await request in script.posted where isLast(request) {
      last = request
      break
    }
    sender.yield(signal)
    let result = try await run.value
    try check(try #require(last, "it posted nothing: \(result.errorText)"))
    return result
  }
}
