import Foundation
import Glibc
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// An endpoint that accepts or refuses all reports, and advances the machine's counter with each request.
private final class UnreliableEndpoint: Sendable {
  private struct World {
    var isAccepting = false
    var requests = 0
    var counter = 1_000
    var random = SeededRandom(seed: 252)
    /// The accepted reports in the order of their arrival.
    var reports: [JSONValue] = []
  }

  let machine: Machine
  private let world = Mutex(World())

  init() throws {
    machine = try Machine()
    try machine.setBytesIn(1_000)
  }

  var requests: Int { world.withLock { $0.requests } }
  var reports: [JSONValue] { world.withLock { $0.reports } }
  func accept(_ isAccepting: Bool) { world.withLock { $0.isAccepting = isAccepting } }

  func answer(_ request: ScriptedServer.Received) -> ScriptedServer.Answer {
    world.withLock { world in
      world.requests += 1
      world.counter += Int.random(in: 1..<100_000, using: &world.random)
      guard (try? machine.setBytesIn(world.counter)) != nil, world.isAccepting else {
        // AWS IoT refuses the report; the agent doesn't repeat the request.
        return .keep(
          httpResponse("403 Forbidden", headers: ["x-amzn-ErrorType: ForbiddenException:"], body: "{}"))
      }
      world.reports.append((try? JSONValue(parsing: request.body)) ?? .null)
      return .keep(
        httpResponse(headers: ["Content-Type: application/json"], body: #"{"message":"OK","traceId":"t"}"#))
    }
  }
}

private func reportID(of report: JSONValue) -> UInt64? { report["header"]?["report_id"]?.integer() }
private func bytesIn(_ report: JSONValue) -> Int {
  report["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0
}

@Suite(.ownThreads) struct `An agent with a spool` {
  private func variables(_ endpoint: UnreliableEndpoint, url: String, state: String) -> [String: String] {
    [
      "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TRANSPORT": "https", "AWS_REGION": "eu-west-1",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": url, "DEFENDER_TOPIC": "spool/{thing}",
      "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none", "SAMPLE_INTERVAL_SECONDS": "0.02",
      "PROCFS_PATH": endpoint.machine.path, "DEFENDER_STATE_DIRECTORY": state,
      "DEFENDER_SPOOL_BYTES": "1000000",
    ]
  }

  /// The lives that accept reports publish only from the spool, because reports wait all the time.
  @Test(.timeLimit(.minutes(5)))
  func `counts each byte once and keeps the order when it is killed 40 times`() throws {
    let endpoint = try UnreliableEndpoint()
    let server = try ScriptedServer(decide: endpoint.answer)
    defer { server.stop() }
    let state = try TemporaryDirectory()
    let environment = variables(endpoint, url: server.url, state: state.path)
    let program = try BuiltProgram("bootstrap").path
    var random = SeededRandom(seed: 253)
    let first = try RunningAgent(program, ["agent"], environment)
    first.wait { endpoint.requests >= 150 }
    first.kill()
    for life in 0..<40 {
      endpoint.accept(life % 3 != 0)
      let before = endpoint.requests
      let agent = try RunningAgent(program, ["agent"], environment)
      let requests = Int.random(in: 1...4, using: &random)
      agent.wait { endpoint.requests >= before + requests }
      poll(nil, 0, Int32.random(in: 0...10, using: &random))
      agent.kill()
    }
    endpoint.accept(true)
    let survivor = try RunningAgent(program, ["agent"], environment)
    let delivered = endpoint.reports.count
    survivor.wait { endpoint.reports.count >= delivered + 10 }
    survivor.stop()
    #expect(!survivor.log.contains("The spool is empty."))
    try check(endpoint.reports, state: state.path)
  }

  private func check(_ reports: [JSONValue], state: String) throws {
    var unique: [UInt64: JSONValue] = [:]
    var last: UInt64 = 0
    for report in reports {
      let id = try #require(reportID(of: report))
      if let earlier = unique[id] {
        #expect(earlier == report, "id \(id) has two contents")
      } else {
        #expect(id > last, "report \(id) came after \(last)")
        unique[id] = report
        last = id
      }
    }
    #expect(unique.count > 40)
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(state)/spool").sorted()
    #expect(names.count > 20)
    for name in names {
      let file = try readFile("\(state)/spool/\(name)", limit: 65_536)
      let report = try JSONValue(parsing: Array(file.dropFirst(22 + "pump-7".utf8.count)))
      let id = try #require(reportID(of: report))
      #expect(name.hasPrefix("0000000000\(id).report"))
      #expect(unique[id] == nil || unique[id] == report)
      unique[id] = report
    }
    let saved = try JSONValue(parsing: readFile("\(state)/state.json", limit: 65_536))
    let baseline = try #require(
      saved["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self))
    #expect(unique.values.reduce(0) { $0 + bytesIn($1) } == baseline - 1_000)
    var status = stat()
    #expect(unsafe stat("\(state)/spool", &status) == 0 && status.st_mode & 0o777 == 0o700)
    #expect(unsafe stat("\(state)/spool/\(names[0])", &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  /// What makes the spool's disk unusable.
  enum Disk: String, CaseIterable {
    case readOnly = "mount -o remount,ro state/spool"
    case full = "(cat /dev/zero >state/spool/filler 2>/dev/null; true)"

    var words: String { self == .full ? "No space left on device" : "Read-only file system" }
  }

  @Test(arguments: Disk.allCases)
  func `turns the spool off with one error if it can't be written, and loses no byte`(disk: Disk) throws {
    let endpoint = try UnreliableEndpoint()
    let server = try ScriptedServer(decide: endpoint.answer)
    defer { server.stop() }
    let place = try TemporaryDirectory()
    // A private mount namespace, in a user namespace so that it doesn't need root.
    let namespaces = ["--mount"] + (geteuid() == 0 ? [] : ["--user", "--map-root-user"])
    let script = """
      cd "$1" && mkdir -p state/spool && mount -t tmpfs -o size=64k,mode=700 none state/spool && \(disk.rawValue) && cd / && \
      exec "$2" agent
      """
    var environment = variables(endpoint, url: server.url, state: "\(place.path)/state")
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    let agent = try RunningAgent(
      "/usr/bin/unshare",
      namespaces + ["sh", "-c", script, "sh", place.path, try BuiltProgram("bootstrap").path], environment)
    agent.wait { endpoint.requests >= 10 }
    endpoint.accept(true)
    agent.wait { endpoint.reports.count >= 3 }
    agent.stop()
    let errors = agent.log.split(separator: "\n").filter { $0.contains("[ERROR]") && $0.contains("spool in") }
    #expect(errors.count == 1, "\(agent.log)")
    #expect(errors.first?.contains(disk.words) == true, "\(agent.log)")
    let saved = try JSONValue(parsing: readFile("\(place.path)/state/state.json", limit: 65_536))
    let baseline = try #require(
      saved["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self))
    #expect(endpoint.reports.reduce(0) { $0 + bytesIn($1) } == baseline - 1_000)
  }
}
