import DefenderAgent
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// A network that is down for many intervals, and in between loses some packets, at random.
private final class Network: Sendable {
  private let random = Mutex(SeededRandom(seed: 25))
  let isDown = Mutex(false)

  func fate(_ packet: Relay.Packet) -> Relay.Fate {
    if isDown.withLock({ $0 }) { return .cut }
    let dice = random.withLock { random in Int.random(in: 0..<100, using: &random) }
    switch (packet.direction, packet.type) {
    case (.toServer, 3): return dice < 4 ? .cut : dice < 8 ? .cutInside : dice < 12 ? .cutAfter : .pass
    case (.toClient, 4): return dice < 6 ? .drop : dice < 12 ? .cut : .pass
    default: return .pass
    }
  }
}

@Suite(.ownThreads) struct `The agent's spool over MQTT` {
  @Test(arguments: ["3", "5"], ["persistent", "per-report"])
  func `delivers all reports in order after outages of many intervals, and counts each byte once`(
    version: String, connection: String
  ) throws {
    let broker = try MosquittoBroker()
    let subscriber = try DeviceDefenderResponder(port: broker.plainPort, topicFilter: "fleet/+/+")
    let network = Network()
    let relay = try Relay(.forward(to: broker.plainPort)) { network.fate($0) }
    defer {
      relay.stop()
      subscriber.stop()
    }
    let tree = try TemporaryDirectory()
    let configuration = try configuration(
      over: tree, port: relay.port, ["DEFENDER_MQTT_VERSION": version, "DEFENDER_CONNECTION": connection])
    let time = SkippingTime()
    let log = RecordedLog()
    let publisher = try configuration.publisher(time: time, log: log.log())
    var loop = ReportLoop(configuration, publisher: publisher, time: time, log: log.log())

    var random = SeededRandom(seed: 26)
    var counter = 1_000
    var (waiting, made) = (0, 0)
    for phase in 0..<6 {
      network.isDown.withLock { $0 = phase % 2 == 1 }
      for _ in 0..<20 {
        try setBytesIn(counter, in: tree)
        // A small limit: leftovers stay, and wait for the next report.
        waiting = try loop.run(
          ReportPlan(reports: 1), until: time.bootTime.advanced(by: .seconds(phase % 2 == 1 ? 3 : 20))
        ).waiting
        made += 1
        counter += Int.random(in: 0..<100_000, using: &random)
      }
      if phase % 2 == 1 { #expect(waiting >= 20) }
    }
    network.isDown.withLock { $0 = false }
    for _ in 0..<200 where waiting > 0 {
      try setBytesIn(counter, in: tree)
      waiting = try loop.run(ReportPlan(reports: 1), until: time.bootTime.advanced(by: .seconds(300))).waiting
      made += 1
    }
    #expect(waiting == 0)

    let unique = { () -> [UInt64: Int] in
      var deltas: [UInt64: Int] = [:]
      var last: UInt64 = 0
      for report in subscriber.reports {
        guard let id = report.id else { continue }
        let delta: Int = report.report["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0
        if let earlier = deltas[id] {
          #expect(earlier == delta)
        } else {
          #expect(id > last, "report \(id) arrived after \(last)")
          last = id
          deltas[id] = delta
        }
      }
      return deltas
    }
    let end = BootTime.now.advanced(by: .seconds(60))
    while Set(subscriber.reports.compactMap(\.id)).count < made, BootTime.now < end {
      _ = SystemWaiter(shutdown: nil).wait(until: .now.advanced(by: .milliseconds(20)))
    }
    let deltas = unique()
    #expect(deltas.count == made)
    #expect(deltas.values.reduce(0, +) == counter - 1_000)
    #expect(subscriber.reports.count > made, "no report arrived twice")
    if connection == "per-report" { #expect(!publisher.isConnected) }
  }

  private func configuration(over tree: TemporaryDirectory, port: UInt16, _ others: [String: String]) throws
    -> Configuration
  {
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try tree.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    let own = [
      "AWS_IOT_THING_NAME": "pump-7", "PROCFS_PATH": tree.path, "DEFENDER_TRANSPORT": "mqtt",
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(port)", "DEFENDER_TOPIC": "fleet/{thing}/{format}",
      "DEFENDER_SPOOL_BYTES": "1000000",
    ]
    var configuration = try Configuration(
      Environment(try variables(ofStateIn: tree).merging(own) { $1 }.merging(others) { $1 }))
    configuration.mqtt?.settings.delay = ReconnectDelay(first: .milliseconds(1), longest: .milliseconds(5))
    configuration.mqtt?.settings.stepTimeout = .milliseconds(200)
    configuration.publishTimeout = .milliseconds(800)
    return configuration
  }
}
