import AWSClient
import DefenderAgent
import DeviceDefender
import HTTPClient
import MQTT
import Platform
import TestSupport
import fleet_simulation

/// A clock that only advances during waits. When it reaches `end`, the process is asked to stop.
final class VirtualClock: Waiter {
  private(set) var bootTime = moment(.zero)
  let shutdownSignal: ShutdownSignal? = nil
  var end: BootTime

  init(end: BootTime) {
    self.end = end
  }

  var wallTime: WallTime { fleet_simulation.wallTime(bootTime) }

  func wait(until instant: BootTime) -> Wake {
    bootTime = max(bootTime, min(instant, end))
    return instant > end ? .shutdown : .onTime
  }
}

/// A random number generator that all parts of a device share.
final class SharedGenerator: RandomNumberGenerator {
  private var generator: SeededGenerator

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
  }

  func next() -> UInt64 { generator.next() }
}

/// The events that the service observed, one per line: `r 123.456000000` is a report at that second, `x` a throttled
/// report, `c` a refused connection.
final class ServiceBook {
  var service: Service
  private(set) var lines: [String] = []
  private var lastAccepted: BootTime?

  init(_ service: Service) {
    self.service = service
  }

  func connect(at now: BootTime) -> Bool {
    let isOpen = service.connect(at: now)
    if !isOpen { note("c", now) }
    return isOpen
  }

  func report(at now: BootTime) -> Service.Answer {
    let answer = service.report(at: now, last: lastAccepted)
    if answer == .accepted { lastAccepted = now }
    note(answer == .accepted ? "r" : "x", now)
    return answer
  }

  func note(_ kind: String, _ now: BootTime) {
    lines.append(
      "\(kind) \(now.nanosecondsSinceBoot / 1_000_000_000).\(now.nanosecondsSinceBoot % 1_000_000_000)")
  }
}

/// The product's own handler and publisher, on a virtual clock, connected to the simulated service.
final class RealAgent {
  private let clock: VirtualClock
  private let book: ServiceBook
  private let random: SharedGenerator
  private let procfs: TemporaryDirectory
  private let transport: Transport
  private let configuration: Configuration

  init(_ name: String, number: Int, transport: Transport, _ service: Service, isSpread: Bool) throws {
    clock = VirtualClock(end: moment(.zero))
    book = ServiceBook(service)
    random = SharedGenerator(seed: UInt64(number))
    self.transport = transport
    procfs = try TemporaryDirectory()
    for file in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(file)", Array("  sl  local_address rem_address   st tx_queue rx_queue\n".utf8))
    }
    try procfs.write("net/dev", Array("Inter-|\n face |\n  eth0: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n".utf8))
    try procfs.write("sys/kernel/random/boot_id", Array("one\n".utf8))
    var configuration = try Configuration(
      Environment([
        "AWS_IOT_THING_NAME": name, "PROCFS_PATH": procfs.path, "AWS_REGION": "eu-central-1",
        "DEFENDER_TRANSPORT": transport.name, "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1",
        "DEFENDER_STATE_DIRECTORY": "\(procfs.path)/state", "DEFENDER_JITTER": isSpread ? "1" : "0",
      ]))
    configuration.beginsWithBaseline = true
    self.configuration = configuration
  }

  /// Runs a process until `end`. The next call starts another process, which continues at that time.
  func run(until end: BootTime) throws {
    clock.end = end
    var loop = ReportLoop(
      configuration, publisher: try publisher(), time: clock, log: Log { _, _ in }, random: random)
    _ = try loop.run(ReportPlan(), until: .distantFuture)
  }

  var lines: [String] { book.lines }

  private func publisher() throws -> any Publisher {
    if transport == .mqtt {
      let settings = MQTTPublisher.Settings(
        clientID: "c", keepAliveSeconds: 1_200, connection: .persistent, version: .three)
      return MQTTPublisher(
        SimulatedBroker(clock, book), settings, time: clock, log: Log { _, _ in }, random: random)
    }
    let credentials = EnvironmentCredentials(
      Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none"]))
    var random = random
    return try HTTPSPublisher(
      ServiceEndpoint(url: "https://iot.example.com"), (region: "eu-central-1", credentials: credentials),
      SimulatedEndpoint(clock, book), clock, Log { _, _ in }, jitter: { .random(in: 0..<1, using: &random) })
  }
}

/// The simulated service as an HTTPS endpoint.
private final class SimulatedEndpoint: HTTPExchange {
  private let clock: VirtualClock
  private let book: ServiceBook

  init(_ clock: VirtualClock, _ book: ServiceBook) {
    self.clock = clock
    self.book = book
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    let now = clock.bootTime
    if book.service.isDown(at: now) {
      book.note("c", now)
      throw .notConnected("down")
    }
    return HTTPResponse(status: book.report(at: now) == .accepted ? 200 : 429)
  }
}

/// The simulated service as an MQTT broker.
private final class SimulatedBroker: BrokerConnector {
  let endpoint = "mqtt://127.0.0.1:1883"
  private let clock: VirtualClock
  private let book: ServiceBook

  init(_ clock: VirtualClock, _ book: ServiceBook) {
    self.clock = clock
    self.book = book
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    guard book.connect(at: clock.bootTime) else {
      throw TransportFailure(reason: "refused", advice: "", isTransient: true)
    }
    return BrokerStream(clock, book)
  }
}

/// A connection to the broker. Each write contains one packet, as `Session` writes them (MQTT 3.1.1, section 3).
private final class BrokerStream: ByteStream {
  private let clock: VirtualClock
  private let book: ServiceBook
  private let opened: BootTime
  private var incoming: [UInt8] = []

  init(_ clock: VirtualClock, _ book: ServiceBook) {
    self.clock = clock
    self.book = book
    opened = clock.bootTime
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty {
      // An outage since the connection was opened has closed it.
      if book.service.hadOutage(between: opened, and: clock.bootTime) { return 0 }
      _ = clock.wait(until: deadline)
      throw .timedOut
    }
    let count = min(limit, incoming.count)
    buffer.append(contentsOf: incoming.prefix(count))
    incoming.removeFirst(count)
    return count
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    var rest = bytes.dropFirst()
    while let byte = rest.popFirst(), byte >= 0x80 {}
    switch bytes.first.map({ $0 >> 4 }) {
    case 1: incoming += [0x20, 2, 0, 0]
    case 8: incoming += [0x90, 4] + rest.prefix(2) + [1, 1]
    case 3:
      let length = rest.prefix(2).reduce(0) { $0 << 8 | Int($1) }
      let topic = rest.dropFirst(2).prefix(length)
      let packetID = rest.dropFirst(2 + length).prefix(2)
      let isAccepted = book.report(at: clock.bootTime) == .accepted
      let answer =
        isAccepted ? "{\"status\":\"ACCEPTED\"}" : "{\"statusDetails\":{\"ErrorCode\":\"Throttled\"}}"
      let answerTopic = Array(topic) + (isAccepted ? "/accepted" : "/rejected").utf8
      let body = [UInt8(answerTopic.count >> 8), UInt8(answerTopic.count & 0xFF)] + answerTopic + answer.utf8
      incoming += [0x40, 2] + packetID
      incoming +=
        [0x30]
        + (body.count < 128
          ? [UInt8(body.count)] : [UInt8(body.count & 0x7F | 0x80), UInt8(body.count >> 7)])
      incoming += body
    default: break
    }
  }

  func close() {}
}
