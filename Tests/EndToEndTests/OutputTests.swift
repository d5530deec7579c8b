import HTTPClient
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built `defender` if its standard output can't be written.
@Suite(.ownThreads, .timeLimit(.minutes(5))) struct `The output of a program` {
  private static let commands = [
    ["doctor"], ["doctor", "--json"], ["security-profile"], ["collect"], ["collect", "-n", "0"],
    ["collect", "--watch"],
    ["collect", "--format", "cbor"], ["agent", "--dry-run", "-i", "0.01"], ["--version"], ["--help"],
    ["help", "agent"],
    ["invoke"], ["--generate-completion-script", "bash"], ["--experimental-dump-help"],
  ]

  private let environment = [
    "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.1", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://127.0.0.1:1",
  ]

  private func run(_ arguments: [String], redirection: String) async throws -> BuiltProgram.Result {
    let script = "exec \"$0\" \"$@\" \(redirection)"
    return try await BuiltProgram(path: "/bin/sh").run(
      ["-c", script, try BuiltProgram("defender").path] + arguments, environment: environment)
  }

  private func complaints(_ run: BuiltProgram.Result) -> [String] {
    run.errors.filter { $0.contains("Can't write the output") }
  }

  @Test(arguments: commands)
  func `every command fails with one line if its output can't be written`(arguments: [String]) async throws {
    let full = try await run(arguments, redirection: ">/dev/full")
    #expect(full.status == .code(74))
    #expect(
      complaints(full) == [
        "defender: Can't write the output to standard output: No space left on device (errno 28)."
      ])
    if arguments != ["invoke"] { #expect(full.errors.count == 1, "\(full.errorText)") }
    let closed = try await run(arguments, redirection: ">&-")
    #expect(closed.status == .code(74))
    #expect(complaints(closed).map { $0.contains("Bad file descriptor") } == [true])
  }

  // If SIGPIPE is ignored, as under a service manager, writing fails and the process continues.
  @Test(arguments: commands, ["", "trap '' PIPE; "])
  func `every command exits silently if its reader has gone`(arguments: [String], trap: String)
    async throws
  {
    // A pipe whose reading end is closed before anything is written.
    let script = """
      pipe=$0; mkfifo "$pipe"; exec 3<>"$pipe" 4>"$pipe" 3>&-; \(trap)"$@" >&4 4>&-; echo $? >&2
      """
    let directory = try TemporaryDirectory()
    let run = try await BuiltProgram(path: "/bin/sh").run(
      ["-c", script, "\(directory.path)/pipe", try BuiltProgram("defender").path] + arguments,
      environment: environment)
    #expect(complaints(run) == [])
    if arguments != ["invoke"] { #expect(run.errors.count == 1, "\(run.errorText)") }
    #expect(run.errors.last == (trap.isEmpty && arguments != ["invoke"] ? "141" : "74"))
  }

  @Test func `publish also fails, but not with the status for a rejection by AWS`() async throws {
    let server = try LoopbackServer { _ in .response(200, body: "{}") }
    let run = try await BuiltProgram(path: "/bin/sh").run(
      [
        "-c", "exec \"$0\" \"$@\" >/dev/full", try BuiltProgram("defender").path, "publish", "--topic", "t",
        "--endpoint", "http://\(server.authority)",
      ], environment: ["AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"])
    #expect(run.status == .code(74))
    #expect(run.errors.count == 1 && complaints(run).count == 1, "\(run.errorText)")
  }

  @Test func `emulator exits if its output can't be written`() async throws {
    let (urls, url) = AsyncStream.makeStream(of: String.self)
    async let run = BuiltProgram(path: "/bin/sh").run(
      ["-c", "exec \"$0\" emulator --port 0 >/dev/full", try BuiltProgram("defender").path],
      environment: environment
    ) { line in
      if line.contains("http://"), let word = line.split(separator: " ").last { url.yield(String(word)) }
    }
    var iterator = urls.makeAsyncIterator()
    let target = try #require(await iterator.next())
    let caller = Task.detached {
      let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
      let request = HTTPRequest(method: "POST", url: target, body: Array(#"{"reports":1}"#.utf8))
      return try exchange.exchange(request, timeout: .seconds(60))
    }
    let result = try await run
    #expect(result.status == .code(74))
    #expect(complaints(result).count == 1, "\(result.errorText)")
    // The request may or may not get a response.
    _ = await caller.result
  }
}
