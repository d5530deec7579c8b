import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// The built `bootstrap` against a Runtime API that is out of order.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct RuntimeAPITests {
  /// What a poll may be answered with that isn't an event.
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
  func `polls again after an answer that is no event`(bad: BadPoll) async throws {
    let api = try ScriptedRuntimeAPI(polls: [bad.reply, bad.reply, event("a")])
    let run = try await api.serve(check: { post in
      #expect(post.path == "/2018-06-01/runtime/invocation/a/response")
      let answer = try JSONValue(parsing: post.body)
      #expect(answer["ended"]?.string == "reports")
    })
    #expect(run.status == .code(0), "\(run.errorText)")
    // It doesn't do so in silence.
    #expect(run.errorText.contains("[WARN]") || run.errorText.contains("[ERROR]"))
  }

  /// What an answer to an invocation may be answered with.
  static let badAcknowledgements: [(String, LoopbackServer.Reply)] = [
    ("500", .response(500, body: "no")), ("400", .response(400, body: "{")), ("403", .response(403)),
    ("413", .response(413, body: #"{"errorType":"RequestEntityTooLarge"}"#)),
    ("no answer", .sendAndClose([])),
    ("garbage", .sendAndClose(Array("hello\r\n\r\n".utf8))), ("204", .response(204)),
  ]

  @Test(arguments: badAcknowledgements.map(\.0))
  func `goes on after a response that wasn't taken as it should`(name: String) async throws {
    let bad = try #require(Self.badAcknowledgements.first { $0.0 == name }).1
    let api = try ScriptedRuntimeAPI(polls: [event("a"), event("b")], posts: [bad])
    let run = try await api.serve(until: { $0.path == "/2018-06-01/runtime/invocation/b/response" })
    #expect(run.status == .code(0), "\(run.errorText)")
  }

  @Test func `exits with an error where nobody listens, and says where`() async throws {
    let run = try await BuiltProgram("bootstrap").run(environment: variables(api: "127.0.0.1:1"))
    #expect(run.isErrorExit)
    #expect(run.errors.last?.contains("127.0.0.1:1") == true)
  }

  @Test(arguments: [nil, "", "nonsense", "127.0.0.1:99999", "http://127.0.0.1:9001", ":"])
  func `exits with an error that names a missing or wrong address`(address: String?) async throws {
    let run = try await BuiltProgram("bootstrap").run(environment: variables(api: address))
    #expect(run.isErrorExit)
    #expect(run.errors.last?.contains("AWS_LAMBDA_RUNTIME_API") == true, "\(run.errorText)")
  }

  @Test func `tells of a failed start before it exits with an error`() async throws {
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

  @Test func `exits with an error also where its failed start can't be told`() async throws {
    let run = try await BuiltProgram("bootstrap").run(
      environment: variables(api: "127.0.0.1:1").merging(["AWS_IOT_THING_NAME": ""]) { _, new in new })
    #expect(run.isErrorExit)
    #expect(run.errorText.contains("AWS_IOT_THING_NAME"))
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `ends at once and without an error when it is asked to while it polls`(signal: Int32) async throws {
    let api = try ScriptedRuntimeAPI(polls: [event("a")])
    // It is asked when its response has come: then the next poll is held, or about to be.
    let run = try await api.serve(signal: signal)
    #expect(run.status == .code(0), "\(run.errorText)")
  }
}

/// A poll's answer that is an event: it asks for a report that goes nowhere.
private func event(_ id: String) -> LoopbackServer.Reply {
  // It counts from here, and on a busy machine the program may have to wait for its turn to be started.
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

/// A Runtime API whose answers are written down beforehand; further polls are held, further answers accepted.
private struct ScriptedRuntimeAPI {
  private let script: Script
  private let server: LoopbackServer

  /// What is still to be answered, and what came.
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

  /// Runs the built `bootstrap` until it has posted what is waited for, and ends it with `signal`.
  func serve(
    _ changes: [String: String] = [:], signal: Int32 = SIGTERM,
    until isLast: (LoopbackServer.Request) -> Bool = { _ in true },
    check: (LoopbackServer.Request) throws -> Void = { _ in }
  ) async throws -> BuiltProgram.Result {
    let (signals, sender) = AsyncStream.makeStream(of: Int32.self)
    let environment = variables(api: server.authority).merging(changes) { _, new in new }
    let bootstrap = try BuiltProgram("bootstrap")
    let run = Task { [script] in
      // Where it ends by itself there is nothing more to wait for.
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
