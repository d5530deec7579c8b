import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// A network that loses a certain packet and everything after it.
private final class FailingNetwork: Sendable {
  private let isLost: @Sendable (Relay.Packet, _ count: Int) -> Bool
  private let state = Mutex((counts: [String: Int](), hasFailed: false))

  /// Fails at the first packet for which `isLost` returns true. It receives the number of earlier packets of the same kind.
  init(_ isLost: @escaping @Sendable (Relay.Packet, Int) -> Bool) {
    self.isLost = isLost
  }

  func fate(_ packet: Relay.Packet) -> Relay.Fate {
    state.withLock { state in
      let count = state.counts["\(packet.direction) \(packet.type)", default: 0] + 1
      state.counts["\(packet.direction) \(packet.type)"] = count
      if isLost(packet, count) { state.hasFailed = true }
      return state.hasFailed ? .drop : .pass
    }
  }

  var hasFailed: Bool { state.withLock { $0.hasFailed } }
}

@Suite(.ownThreads) struct `An agent that is asked to stop` {
  /// The event that the agent waits for, with a timeout of ten seconds or more.
  enum Moment: CaseIterable {
    case handshake, connectionAnswer, subscription, acknowledgement, confirmation
  }

  @Test(arguments: Moment.allCases)
  func `stops promptly whatever it waits for`(moment: Moment) throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    let network = FailingNetwork { packet, _ in
      switch (moment, packet.direction, packet.type) {
      // The relay also counts the first bytes of TLS as a packet.
      case (.handshake, .toServer, _): true
      case (.connectionAnswer, .toClient, 2): true
      case (.subscription, .toClient, 9): true
      case (.acknowledgement, .toClient, 4): true
      case (.confirmation, .toClient, 3): true
      default: false
      }
    }
    let isTLS = moment == .handshake
    let relay = try Relay(.forward(to: isTLS ? broker.tlsPort : broker.plainPort)) { network.fate($0) }
    defer {
      relay.stop()
      responder.stop()
    }
    // Send no confirmation, because one that overtakes the acknowledgement would end the wait.
    if moment == .acknowledgement { responder.setAnswering(false) }
    let identity = [
      "-r", broker.authority.certificateFile, "-c", broker.device.certificateFile, "-k",
      broker.device.keyFile,
    ]
    let endpoint = "\(isTLS ? "localhost" : "mqtt://127.0.0.1"):\(relay.port)"
    let agent = try RunningAgent(
      ["-e", endpoint] + (isTLS ? identity : []), ["DEFENDER_CONFIRMATION_SECONDS": "300"])
    agent.wait { network.hasFailed }
    agent.stop()
    let log = agent.log
    // A wait until the timeout would log an error or a warning.
    #expect(
      (log.contains("top was requested") || log.contains("Stopped: ")) && !log.contains("[ERROR]")
        && !log.contains("[WARN]"), "\(log)")
  }

  @Test func `repeats the traffic of an interrupted report after its restart`() throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    let network = FailingNetwork { packet, count in
      packet.direction == .toServer && packet.type == 3 && count == 3
    }
    let relay = try Relay(.forward(to: broker.plainPort)) { network.fate($0) }
    defer {
      relay.stop()
      responder.stop()
    }
    let machine = try Machine()
    try machine.setBytesIn(1_000)
    let state = try TemporaryDirectory()
    let environment = ["PROCFS_PATH": machine.path, "DEFENDER_STATE_DIRECTORY": state.path]
    let agent = try RunningAgent(["-e", "mqtt://127.0.0.1:\(relay.port)"], environment)
    #expect(responder.waitForReports(1))
    try machine.setBytesIn(5_000)
    agent.wait { network.hasFailed }
    agent.stop()
    #expect(responder.reports.count == 2, "\(agent.log)")

    try machine.setBytesIn(6_000)
    let again = try RunningAgent(["-e", "mqtt://127.0.0.1:\(broker.plainPort)"], environment)
    #expect(responder.waitForReports(3))
    again.wait { again.log.contains("accepted report") }
    again.stop()
    let deltas = responder.reports.compactMap { report -> Int? in
      report.report["metrics"]?["network_stats"]?["bytes_in"]?.integer()
    }
    #expect(deltas.count == responder.reports.count && deltas.reduce(0, +) == 5_000, "\(again.log)")
    let ids = responder.reports.compactMap(\.id)
    #expect(ids == ids.sorted() && Set(ids).count == ids.count)
  }
}
