import Glibc
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// An endpoint that records every report in the order of arrival, and advances the machine's counter with each.
private final class RecordingEndpoint: Sendable {
  struct Report {
    let life: Int
    let body: [UInt8]
    let id: UInt64
    /// The delta of `bytes_in`; 0 if there is none.
    let bytesIn: Int
    /// The value of the counter when the report was made.
    let counter: Int
  }

  private struct World {
    var life = 0
    var counter = 1_000
    var random: SeededRandom
    var reports: [Report] = []
    var malformed = 0
  }

  let machine: Machine
  private let world: Mutex<World>

  init(seed: UInt64) throws {
    machine = try Machine()
    world = Mutex(World(random: SeededRandom(seed: seed)))
    try machine.setBytesIn(1_000)
  }

  var reports: [Report] { world.withLock { $0.reports } }
  var malformed: Int { world.withLock { $0.malformed } }
  func count(of life: Int) -> Int { world.withLock { $0.reports.count { $0.life == life } } }

  /// Starts the next life of the agent, after the previous one has ended. Returns its number.
  func beginLife() throws -> Int {
    try world.withLock { world in
      world.life += 1
      try move(&world)
      return world.life
    }
  }

  /// Records a request. The sender waits for the answer or is dead, so it isn't reading the counter.
  func answer(_ request: ScriptedServer.Received) -> ScriptedServer.Answer {
    let pause = world.withLock { world in
      let report = try? JSONValue(parsing: request.body)
      // POST /topics/kill%2F<life>?qos=1
      let life = request.requestLine.split(separator: "%2F").last?.prefix { $0.isNumber }
      guard let id: UInt64 = report?["header"]?["report_id"]?.integer(), let life = life.flatMap({ Int($0) })
      else {
        world.malformed += 1
        return Int32(0)
      }
      let bytesIn: Int = report?["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0
      world.reports.append(
        Report(life: life, body: request.body, id: id, bytesIn: bytesIn, counter: world.counter))
      if life == world.life, (try? move(&world)) == nil { world.malformed += 1 }
      return Int32.random(in: 0...4, using: &world.random)
    }
    poll(nil, 0, pause)
    return .keep(
      httpResponse(headers: ["Content-Type: application/json"], body: #"{"message":"OK","traceId":"t"}"#))
  }

  private func move(_ world: inout World) throws {
    // The first life sets the first baseline, so no traffic may be lost after that.
    if world.life > 1 || !world.reports.isEmpty {
      world.counter += Int.random(in: 1..<100_000, using: &world.random)
    }
    try machine.setBytesIn(world.counter)
  }
}

@Suite(.ownThreads) struct `An agent that is killed` {
  /// When to kill it: at a random time, before a received report is answered, or around the time when it saves its state.
  enum Timing: UInt64, CaseIterable { case anytime, beforeTheAnswer, afterTheAnswer }

  /// Kills it 201 times. `KILL_TEST_SEED` repeats the kills of another run.
  private static let kills = 67

  @Test(.timeLimit(.minutes(10)), arguments: Timing.allCases)
  func `reuses no report ID, and loses no report and no byte`(timing: Timing) throws {
    let given = Environment.ofThisProcess.value("KILL_TEST_SEED").flatMap { UInt64($0) }
    let seed = given ?? .random(in: 0..<1 << 32)
    print("An agent that is killed \(timing): KILL_TEST_SEED=\(seed)")
    var random = SeededRandom(seed: seed &+ timing.rawValue)
    let endpoint = try RecordingEndpoint(seed: random.next())
    let server = try ScriptedServer(decide: endpoint.answer)
    defer { server.stop() }
    let state = try TemporaryDirectory()
    func start() throws -> (life: Int, agent: RunningAgent) {
      let life = try endpoint.beginLife()
      let environment = [
        "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TRANSPORT": "https", "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE": server.url, "DEFENDER_TOPIC": "kill/\(life)",
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none", "SAMPLE_INTERVAL_SECONDS": "0.01",
        "PROCFS_PATH": endpoint.machine.path, "DEFENDER_STATE_DIRECTORY": state.path,
      ]
      return (life, try RunningAgent(try BuiltProgram("bootstrap").path, ["agent"], environment))
    }

    // Measure how long a start takes, and wait until the first baseline is saved.
    let begin = BootTime.now
    let (first, agent) = try start()
    agent.wait { endpoint.count(of: first) >= 2 }
    var usual = begin.duration(to: .now).inSeconds * 1_000
    agent.kill()
    for _ in 0..<Self.kills {
      let (life, agent) = try start()
      if timing == .anytime {
        poll(nil, 0, Int32(Double.random(in: 0..<usual * 1.5, using: &random)))
        // The duration of a start depends on the load of the machine.
        usual = min(endpoint.count(of: life) == 0 ? usual * 1.25 : usual * 0.8, 20_000)
      } else {
        let number = Int.random(in: 1...3, using: &random)
        agent.wait { endpoint.count(of: life) >= number }
        // The answer takes up to 4 ms.
        let range: ClosedRange<Int32> = timing == .beforeTheAnswer ? 0...3 : 2...12
        poll(nil, 0, Int32.random(in: range, using: &random))
      }
      agent.kill()
    }
    let (last, survivor) = try start()
    survivor.wait { endpoint.count(of: last) >= 2 }
    survivor.stop()
    try check(endpoint, "\(timing), KILL_TEST_SEED=\(seed)", log: survivor.log, state: state.path)
  }

  private func check(_ endpoint: RecordingEndpoint, _ run: String, log: String, state: String) throws {
    let reports = endpoint.reports
    #expect(endpoint.malformed == 0, "\(run)")
    #expect(Set(reports.map(\.life)).count > Self.kills / 4, "few lives got as far as a report: \(run)")
    // A report may arrive twice if its answer was lost.
    var bodies: [UInt64: [UInt8]] = [:]
    var reportedBytes = 0
    for report in reports {
      if let body = bodies[report.id] {
        #expect(body == report.body, "id \(report.id) has two contents; \(run)")
      } else {
        bodies[report.id] = report.body
        reportedBytes += report.bytesIn
      }
    }
    let ids = reports.map(\.id)
    #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 <= $1 }, "an id fell; \(run)")
    let truth = try #require(reports.last).counter - 1_000
    #expect(reportedBytes >= truth, "\(truth - reportedBytes) bytes were lost; \(run)")
    #expect(!log.contains("[WARN]\t") && !log.contains("[ERROR]"), "\(run): \(log)")
    #expect(unsafe access("\(state)/state.json", F_OK) == 0)
  }
}
