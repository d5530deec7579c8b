import DefenderAgent
import HTTPClient
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// The faults of a network and a broker: random, but the same in each run.
private final class Faults: Sendable {
  private let random = Mutex(SeededRandom(seed: 6))
  private let version: String

  init(version: String) { self.version = version }

  func fate(_ packet: Relay.Packet) -> Relay.Fate {
    let dice = random.withLock { random in Int.random(in: 0..<100, using: &random) }
    switch (packet.direction, packet.type) {
    // CONNACK: the server is unavailable or doesn't answer.
    case (.toClient, 2):
      let refusal: [UInt8] = version == "5" ? [0x20, 3, 0, 0x88, 0] : [0x20, 2, 0, 3]
      return dice < 6 ? .replace(refusal) : dice < 9 ? .drop : .pass
    case (.toClient, 9): return dice < 5 ? .cut : .pass
    // A report: it is lost, the connection ends before it, in the middle of it, or after it.
    case (.toServer, 3):
      return dice < 2 ? .drop : dice < 5 ? .cut : dice < 8 ? .cutInside : dice < 11 ? .cutAfter : .pass
    // The acknowledgement of a report. MQTT 5 can end the connection with a reason.
    case (.toClient, 4) where version == "5" && dice >= 96: return .replace([0xE0, 1, 0x8B])
    case (.toClient, 4): return dice < 5 ? .drop : dice < 9 ? .delay(15) : dice < 12 ? .cut : .pass
    // Device Defender's answers.
    case (.toClient, 3): return dice < 4 ? .drop : dice < 12 ? .double : .pass
    default: return .pass
    }
  }
}

@Suite(.ownThreads) struct `Publishing over MQTT through faults` {
  @Test(arguments: [Acknowledgement.publish, .accepted], ["3", "5"])
  func `loses nothing of the deltas in 1,000 reports over a bad network`(
    mode: Acknowledgement, version: String
  ) throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    let faults = Faults(version: version)
    let relay = try Relay(.forward(to: broker.plainPort)) { faults.fate($0) }
    defer {
      relay.stop()
      responder.stop()
    }
    let procfs = try TemporaryDirectory()
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    let environment = Environment([
      "AWS_IOT_THING_NAME": "pump-7", "PROCFS_PATH": procfs.path, "DEFENDER_TRANSPORT": "mqtt",
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(relay.port)", "DEFENDER_ACKNOWLEDGE": mode.rawValue,
      "DEFENDER_CONFIRMATION_SECONDS": "0.1", "DEFENDER_MQTT_VERSION": version,
    ])
    var configuration = try Configuration(environment)
    configuration.mqtt?.settings.delay = ReconnectDelay(first: .milliseconds(1), longest: .milliseconds(5))
    configuration.mqtt?.settings.stepTimeout = .milliseconds(100)
    configuration.publishTimeout = .milliseconds(400)
    let time = SystemWaiter(shutdown: nil)
    let recorded = RecordedLog()
    let log = recorded.log()
    let publisher = try configuration.publisher(time: time, log: log)
    var loop = ReportLoop(configuration, publisher: publisher, time: time, log: log)

    var random = SeededRandom(seed: 66)
    var counter = 5_000
    /// The counter at the time of each published report, by report id.
    var counters: [UInt64: Int] = [:]
    for _ in 1...1_000 {
      counter += Int.random(in: 0..<100_000, using: &random)
      try setBytesIn(counter, in: procfs)
      guard let outcome = try publishOne(&loop), outcome.published == 1, let id = outcome.lastReportID
      else { continue }
      counters[id] = counter
    }

    // Some reports were accepted after the wait for the answer had ended, when the next report was due.
    let accepted = acceptedReports(recorded.lines)
    let acknowledged = mode == .publish ? counters.keys.sorted() : accepted
    // Most reports arrived, but on a busy machine some exceed their time limit.
    #expect(acknowledged.count > 500)
    #expect(accepted.count > 400)
    #expect(acknowledged == acknowledged.sorted() && Set(acknowledged).count == acknowledged.count)
    // One new connection for each lost one, but no storm of connections.
    #expect(relay.connectionCount > 50 && relay.connectionCount < 1_000)
    // The version of the clients in the broker's log: the responder's is 3.1.1.
    let logins = try broker.logText().split(separator: "\n").filter { $0.contains("as pump-7-defender (") }
    #expect(logins.allSatisfy { $0.contains(version == "5" ? "(p5, " : "(p2, ") } && !logins.isEmpty)

    let last = try #require(acknowledged.last)
    #expect(waits { responder.reports.contains { $0.id == last } })
    var bytesIn: [UInt64: Int] = [:]
    for report in responder.reports {
      guard let id = report.id else { continue }
      let delta: Int = report.report["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0
      // If a report arrived twice, both copies have the same delta.
      #expect(bytesIn[id, default: delta] == delta)
      bytesIn[id] = delta
    }
    let reportedBytes = acknowledged.reduce(0) { $0 + (bytesIn[$1] ?? -1_000_000_000) }
    let first = try #require(acknowledged.first.flatMap { counters[$0] })
    #expect(reportedBytes == (counters[last] ?? 0) - first)
  }

  /// Returns the ids of the reports that were accepted according to the log.
  private func acceptedReports(_ lines: [String]) -> [UInt64] {
    lines.compactMap { line in
      guard line.contains("Device Defender accepted report") else { return nil }
      return line.split(whereSeparator: { !("0"..."9").contains($0) }).last.flatMap { UInt64($0) }
    }
  }

  private func waits(for condition: () -> Bool) -> Bool {
    let time = SystemWaiter(shutdown: nil)
    let end = time.bootTime.advanced(by: .seconds(60))
    while !condition() {
      guard time.bootTime < end else { return false }
      _ = time.wait(until: time.bootTime.advanced(by: .milliseconds(10)))
    }
    return true
  }

  /// Runs the loop for one report and returns the outcome; nil if the report wasn't published.
  private func publishOne(_ loop: inout ReportLoop) throws -> ReportOutcome? {
    let outcome = try loop.run(
      ReportPlan(reports: 1), until: BootTime.now.advanced(by: .milliseconds(59_500)))
    return outcome.failure == nil ? outcome : nil
  }

  private func setBytesIn(_ bytes: Int, in procfs: TemporaryDirectory) throws {
    let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
    try procfs.write(
      "net/dev",
      "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: \(bytes) 1 \(zeros)\n")
  }
}
