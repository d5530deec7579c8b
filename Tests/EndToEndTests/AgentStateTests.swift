import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built agent's state directory.
@Suite(.ownThreads) struct `An agent's state` {
  /// Accepts every report.
  private func server() throws -> ScriptedServer {
    try ScriptedServer { _ in
      .keep(
        httpResponse(headers: ["Content-Type: application/json"], body: #"{"message":"OK","traceId":"t"}"#))
    }
  }

  private func variables(_ server: ScriptedServer, state: String) -> [String: String] {
    [
      "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TRANSPORT": "https", "AWS_REGION": "eu-west-1",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": server.url, "DEFENDER_TOPIC": "state/{thing}",
      "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none", "SAMPLE_INTERVAL_SECONDS": "0.1",
      "DEFENDER_STATE_DIRECTORY": state,
    ]
  }

  /// A disk that is unusable at start: the commands that prepare it, and a part of the expected error.
  enum Disk: String, CaseIterable {
    case readOnly = "mkdir state && mount -o remount,ro ."
    case readOnlyWithoutDirectory = "mount -o remount,ro ."
    case full = "mkdir state && (cat /dev/zero >filler 2>/dev/null; true)"

    var words: String { self == .full ? "No space left on device" : "Read-only file system" }
  }

  @Test(arguments: Disk.allCases)
  func `logs one error and loses no report if it can never be written`(disk: Disk) throws {
    let server = try server()
    defer { server.stop() }
    let place = try TemporaryDirectory()
    // A private mount namespace, in a user namespace so that it doesn't need root.
    let namespaces = ["--mount"] + (geteuid() == 0 ? [] : ["--user", "--map-root-user"])
    let script = """
      cd "$1" && mount -t tmpfs -o size=64k,mode=700 none . && cd "$1" && \(disk.rawValue) && cd / && exec "$2" agent
      """
    var environment = variables(server, state: "\(place.path)/state")
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    let agent = try RunningAgent(
      "/usr/bin/unshare",
      namespaces + ["sh", "-c", script, "sh", place.path, try BuiltProgram("bootstrap").path], environment)
    agent.wait { server.received.count >= 3 }
    agent.stop()
    let errors = agent.log.split(separator: "\n").filter { $0.contains("[ERROR]") }
    #expect(errors.count == 1, "\(agent.log)")
    #expect(errors.first?.contains("DEFENDER_STATE_DIRECTORY") == true)
    #expect(errors.first?.contains(disk.words) == true, "\(agent.log)")
  }

  @Test
  func `is kept by one process at a time: the second reports without it, and takes over after the first`()
    throws
  {
    let server = try server()
    defer { server.stop() }
    let state = try TemporaryDirectory()
    let program = try BuiltProgram("bootstrap").path
    let environment = variables(server, state: state.path)
    let first = try RunningAgent(program, ["agent"], environment)
    let saved = { (try? readFile("\(state.path)/state.json", limit: 65_536)) != nil }
    first.wait(for: saved)
    let before = server.received.count
    let second = try RunningAgent(
      program, ["agent"], environment.merging(["AWS_IOT_THING_NAME": "other"]) { $1 })
    second.wait { second.log.contains("is in use by another process") }
    // Both processes report.
    let isOther = { (request: ScriptedServer.Received) in request.requestLine.contains("other") }
    second.wait { server.received.dropFirst(before).count(where: isOther) >= 2 }
    #expect(!second.log.contains("is available now"))
    first.stop()
    second.wait { second.log.contains("is available now") }
    second.stop()
    #expect(second.log.split(separator: "\n").count { $0.contains("is in use by another process") } == 1)
    #expect(!first.log.contains("[WARN]") && !first.log.contains("[ERROR]"), "\(first.log)")
    let document = try JSONValue(parsing: readFile("\(state.path)/state.json", limit: 65_536))
    let last = try #require(server.received.last { isOther($0) })
    let report = try JSONValue(parsing: last.body)
    #expect(document["last_report_id"]?.integer(as: UInt64.self) == report["header"]?["report_id"]?.integer())
  }
}
