import AWSClient
import DefenderAgent
import HTTPClient
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// A byte counter in a separate procfs.
private final class Traffic: Sendable {
  private let state = Mutex((random: SeededRandom(seed: 55), bytesIn: 5_000))
  private let path: String

  init(in procfs: TemporaryDirectory) throws {
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    path = try procfs.write("net/dev", "")
    move()
  }

  var bytesIn: Int { state.withLock { $0.bytesIn } }

  func move() {
    let bytes = state.withLock { state in
      state.bytesIn += Int.random(in: 1..<100_000, using: &state.random)
      return state.bytesIn
    }
    let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
    let text = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: \(bytes) 1 \(zeros)\n"
    // If this fails, the deltas in the reports show it.
    try? replacePrivateFile(path, with: Array(text.utf8))
  }
}

/// Wraps the function's publisher and records the result of each publish.
private final class WatchedPublisher: Publisher {
  struct Report {
    let id: UInt64
    /// The value of the counter when the report was published.
    let counter: Int
    /// The delta in the report; 0 in the first one.
    let bytesIn: Int
  }

  private let publisher: HTTPSPublisher
  private let traffic: Traffic
  private(set) var acknowledged: [Report] = []
  private(set) var failures: [PublishError] = []
  private(set) var attempts = 0

  init(_ publisher: HTTPSPublisher, _ traffic: Traffic) {
    self.publisher = publisher
    self.traffic = traffic
  }

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    let counter = traffic.bytesIn
    let document = try? JSONValue(parsing: payload)
    do throws(PublishError) {
      let receipt = try publisher.publish(payload, to: topic, qos: qos, until: deadline)
      acknowledged.append(
        Report(
          id: document?["header"]?["report_id"]?.integer() ?? 0, counter: counter,
          bytesIn: document?["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0))
      attempts += receipt.attempts
      return receipt
    } catch {
      failures.append(error)
      attempts += error.attempts
      throw error
    }
  }
}

/// Counts the attempts without a response in time: the other side may have been slow without any fault.
private final class WatchedExchange: HTTPExchange {
  private let exchange: CurlExchange
  private(set) var timeouts = 0

  init(_ exchange: CurlExchange) { self.exchange = exchange }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    do throws(HTTPError) {
      return try exchange.exchange(request, timeout: timeout)
    } catch {
      if case .timedOut = error { timeouts += 1 }
      throw error
    }
  }
}

@Suite(.ownThreads) struct `Publishing over HTTPS through faults` {
  private static let reportCount = 500

  @Test(.timeLimit(.minutes(20)), arguments: [false, true])
  func `loses nothing of the deltas in 500 reports through a bad network`(isSecure: Bool) throws {
    let time = SkippingTime()
    let procfs = try TemporaryDirectory()
    let traffic = try Traffic(in: procfs)
    let credentials = TemporaryCredentials.random()
    let plane = FaultyDataPlane(credentials: credentials, time: time, seed: isSecure ? 500 : 501)
    let authority = try ThrowawayAuthority()
    let identity = try authority.issue("server", names: "IP:127.0.0.1")
    let server = try ScriptedServer(
      tls: isSecure ? TLSServerContext(identity) : nil, refuses: plane.refusesConnection, cut: plane.cut,
      decide: plane.answer)
    defer { server.stop() }
    let environment = Environment([
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "pump-7", "PROCFS_PATH": procfs.path,
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": server.url, "AWS_CA_BUNDLE": authority.certificateFile,
      "AWS_ACCESS_KEY_ID": credentials.accessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.secretAccessKey,
      "AWS_SESSION_TOKEN": credentials.sessionToken, "DEFENDER_TOPIC": "defender/{thing}/{format}",
      "DEFENDER_JITTER": "0",
    ])
    let configuration = try Configuration(environment)
    let log = Log(level: .fatal) { _, _ in }
    let exchange = WatchedExchange(try CurlExchange(ConnectionConfiguration(environment)))
    let https = try HTTPSPublisher(
      endpoint: #require(configuration.https?.endpoint), region: "eu-central-1",
      credentials: EnvironmentCredentials(environment), exchange: exchange, time: time, log: log,
      attemptTimeout: .milliseconds(300))
    let publisher = WatchedPublisher(https, traffic)
    var loop = ReportLoop(configuration, publisher: publisher, time: time, log: log)

    time.whileAsleep { traffic.move() }
    let outcome = try loop.run(ReportPlan(reports: Self.reportCount), until: .distantFuture)
    plane.recover()
    traffic.move()
    // If the last report is retried because the machine is slow, no traffic may follow its snapshot.
    time.whileAsleep {}
    _ = try loop.run(ReportPlan(reports: 1), until: .distantFuture)

    check(outcome, publisher)
    try checkDeltas(publisher.acknowledged, traffic)
    try checkStored(plane.stored, publisher, timeouts: exchange.timeouts)
    // Each kind of fault occurred, and most reports were acknowledged nevertheless.
    #expect(plane.faultKinds.kinds >= 26)
    #expect(plane.faultKinds.cuts > 40)
    #expect(plane.refusedSignatures > 2)
    #expect(publisher.acknowledged.count > 300)
    #expect(publisher.failures.count > 20)
  }

  private func check(_ outcome: ReportOutcome, _ publisher: WatchedPublisher) {
    #expect(Int(outcome.published + outcome.failed) == Self.reportCount)
    #expect(Int(outcome.failed) == publisher.failures.count)
    #expect(Int(outcome.published) + 1 == publisher.acknowledged.count)
    #expect(outcome.ended == .reports)
  }

  /// Checks that the acknowledged reports include each movement of the counter exactly once.
  private func checkDeltas(_ acknowledged: [WatchedPublisher.Report], _ traffic: Traffic) throws {
    let first = try #require(acknowledged.first)
    #expect(acknowledged.reduce(0) { $0 + $1.bytesIn } == traffic.bytesIn - first.counter)
    let ids = acknowledged.map(\.id)
    #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
  }

  /// Checks that the other side has each acknowledged report, and has one twice only if its response was lost.
  private func checkStored(
    _ stored: [FaultyDataPlane.Stored], _ publisher: WatchedPublisher, timeouts: Int
  ) throws {
    #expect(zip(stored, stored.dropFirst()).allSatisfy { $0.id <= $1.id })
    #expect(Set(stored.map(\.id)).isSuperset(of: publisher.acknowledged.map(\.id)))
    for (former, latter) in zip(stored, stored.dropFirst()) where former.id == latter.id {
      #expect(former.bytesIn == latter.bytesIn)
    }
    let resent = zip(stored, stored.dropFirst()).filter { $0.id == $1.id }.map(\.0)
    #expect(resent.contains { !$0.isAnswered })
    #expect(resent.count { $0.isAnswered } <= timeouts)
  }
}
