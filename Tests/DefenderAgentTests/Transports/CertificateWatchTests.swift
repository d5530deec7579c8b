import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DefenderAgent
@testable import HTTPClient

/// A publisher that is connected, and counts the connections.
private final class CertifiedPublisher: Publisher {
  let certificate: CertificateUse?
  var isConnected = true
  private(set) var connections: [BootTime] = []
  private let time: ManualTime
  /// Why the next connection fails; nil if it doesn't.
  var failure: PublishError?

  init(_ use: CertificateUse, _ time: ManualTime) {
    certificate = use
    self.time = time
  }

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt { PublishReceipt(attempts: 1) }

  func disconnect() { isConnected = false }

  func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    connections.append(time.bootTime)
    if let failure { throw failure }
    _ = try? certificate?.identity.keeper.pairForConnection()
    isConnected = true
    return OpenedConnection(endpoint: "the broker")
  }
}

/// Calls a function once, at a given time.
private final class Alarm: IdleTask {
  private(set) var nextDue: BootTime?
  private let body: () -> Void

  init(at moment: BootTime, _ body: @escaping () -> Void) {
    nextDue = moment
    self.body = body
  }

  func run(until deadline: BootTime) {
    nextDue = nil
    body()
  }
}

/// A watch, the files of its certificate, and a clock that the test advances.
private final class Watched {
  let authority: ThrowawayAuthority
  let device: ThrowawayAuthority.Identity
  let recorded = RecordedLog()
  let time = ManualTime(wallTime: .now)
  let publisher: CertifiedPublisher
  let watch: CertificateWatch
  let start: BootTime

  /// The certificate is valid for `days` from now.
  init(days: Int = 90, random: FixedGenerator = .lowest, authenticatesConnection: Bool = true) throws {
    authority = try ThrowawayAuthority()
    device = try authority.issue("device", names: "DNS:device", days: days)
    let identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
    identity.report(to: recorded.log())
    _ = try identity.keeper.pairForConnection()
    publisher = CertifiedPublisher(
      CertificateUse(identity: identity, authenticatesConnection: authenticatesConnection), time)
    watch = CertificateWatch(
      publisher, topic: try Topic(validating: "t"), time: time, log: recorded.log(), random: random)
    start = time.bootTime
    // The validity counts from the second in which the certificate was made. This clock must not be behind it.
    time.wallTime = .now
  }

  func renew(days: Int = 90) throws {
    let other = try authority.issue("other", names: "DNS:device", days: days)
    #expect(unsafe rename(other.certificateFile, device.certificateFile) == 0)
    #expect(unsafe rename(other.keyFile, device.keyFile) == 0)
  }

  /// Waits as the report loop does between two reports.
  func wait(_ duration: Duration) {
    let waiter = TaskRunningWaiter(time, running: [watch])
    #expect(waiter.wait(until: time.bootTime.advanced(by: duration)) == .onTime)
  }

  func count(_ text: String) -> Int { recorded.lines.count { $0.contains(text) } }
}

@Suite struct `The watch of a client certificate` {
  @Test func `never wakes the process`() throws {
    let watched = try Watched()
    for _ in 1...10 { watched.wait(.seconds(300)) }
    #expect(watched.time.wakeUps.count == 10)
    #expect(watched.publisher.connections.isEmpty)
    #expect(watched.recorded.lines.isEmpty)
  }

  @Test func `checks the files at most once a minute`() throws {
    let watched = try Watched()
    watched.wait(.seconds(10))
    try watched.renew()
    for _ in 1...5 { watched.wait(.seconds(10)) }
    #expect(watched.count("Read the renewed certificate") == 0)
    watched.wait(.seconds(10))
    #expect(watched.count("Read the renewed certificate") == 1)
  }

  @Test(arguments: [(FixedGenerator.lowest, 0.0...1), (.highest, 29...30)])
  func `opens a new connection within half a minute, once`(
    random: FixedGenerator, delay: ClosedRange<Double>
  ) throws {
    let watched = try Watched(random: random)
    var shown: [String] = []
    watched.watch.status = AgentStatus { shown.append($0) }
    watched.wait(.seconds(300))
    try watched.renew()
    for _ in 1...3 { watched.wait(.seconds(300)) }
    #expect(watched.publisher.connections.count == 1)
    let opened = try #require(watched.publisher.connections.first)
    #expect(delay.contains(watched.start.advanced(by: .seconds(300)).duration(to: opened).inSeconds))
    #expect(watched.count("Connected with the renewed certificate to the broker") == 1)
    #expect(shown.last == "Connected; no report yet; certificate expires in 89 days")
  }

  @Test func `leaves the connection open while the files don't match`() throws {
    let watched = try Watched()
    watched.wait(.seconds(300))
    let other = try watched.authority.issue("other", names: "DNS:device")
    #expect(unsafe rename(other.certificateFile, watched.device.certificateFile) == 0)
    for _ in 1...3 { watched.wait(.seconds(300)) }
    #expect(watched.publisher.connections.isEmpty)
    #expect(watched.count("Kept the former certificate and key") == 1)
    #expect(unsafe rename(other.keyFile, watched.device.keyFile) == 0)
    watched.wait(.seconds(300))
    #expect(watched.publisher.connections.count == 1)
  }

  @Test func `checks once more before the certificate expires, however long the interval is`() throws {
    let watched = try Watched(days: 1)
    let end = try #require(watched.publisher.certificate?.identity.keeper.notAfter)
    let alarm = Alarm(at: watched.start.advanced(by: .seconds(43_200))) {
      #expect(throws: Never.self) { try watched.renew() }
    }
    // The alarm is a chance for the watch, but comes after it.
    let waiter = TaskRunningWaiter(watched.time, running: [watched.watch, alarm])
    #expect(waiter.wait(until: watched.start.advanced(by: .seconds(3 * 86_400))) == .onTime)
    let opened = try #require(watched.publisher.connections.first)
    let left = opened.duration(to: watched.time.bootTime) - end.duration(to: watched.time.wallTime)
    #expect((Duration.seconds(60)...Duration.seconds(121)).contains(left), "\(left)")
    // The alarm, the last check, the new connection and the end.
    #expect(watched.time.wakeUps.count <= 4)
  }

  @Test(arguments: [true, false])
  func `leaves alone what the next connection or request does itself`(isPerReport: Bool) throws {
    let watched = try Watched(authenticatesConnection: isPerReport)
    watched.publisher.isConnected = !isPerReport
    watched.wait(.seconds(300))
    var shown: [String] = []
    watched.watch.status = AgentStatus { shown.append($0) }
    try watched.renew(days: 60)
    for _ in 1...3 { watched.wait(.seconds(300)) }
    #expect(watched.count("Read the renewed certificate") == 1)
    #expect(watched.publisher.connections.isEmpty)
    #expect(watched.time.wakeUps.count == 4)
    #expect(shown == ["Not connected yet; no report yet; certificate expires in 59 days"])
  }

  @Test func `closes the connection if the next report is due before another one could be open`() throws {
    let watched = try Watched(random: .highest)
    var shown: [String] = []
    watched.watch.status = AgentStatus { shown.append($0) }
    watched.wait(.seconds(60))
    try watched.renew()
    watched.wait(.seconds(40))
    #expect(!watched.publisher.isConnected)
    #expect(watched.publisher.connections.isEmpty)
    #expect(watched.count("The next report opens one with the renewed certificate") == 1)
    #expect(shown.last?.hasPrefix("Not connected until the next report; ") == true, "\(shown)")
  }

  @Test func `reports that the new connection failed`() throws {
    let watched = try Watched()
    var shown: [String] = []
    let status = AgentStatus { shown.append($0) }
    watched.watch.status = status
    watched.publisher.failure = PublishError(
      .transport(TransportFailure(reason: "it is refused", advice: "Activate it.", isTransient: true)),
      topic: try Topic(validating: "t"), endpoint: "the broker", attempts: 1)
    watched.wait(.seconds(60))
    try watched.renew()
    for _ in 1...3 { watched.wait(.seconds(300)) }
    #expect(watched.publisher.connections.count == 1)
    let failure = "Can't connect with the renewed certificate to the broker: it is refused. Activate it."
    #expect(watched.count(failure) == 1)
    #expect(shown.last?.contains("Not connected") == true)
  }

  @Test func `warns once a day in the last 30 days, and reports the end as an error`() throws {
    let watched = try Watched(days: 32)
    for _ in 1...48 { watched.wait(.seconds(3_600)) }
    #expect(watched.recorded.lines.count { $0.contains("expires in") } <= 1)
    for _ in 1...(24 * 33) { watched.wait(.seconds(3_600)) }
    let warnings = watched.recorded.lines.filter { $0.contains("expires in") }
    #expect((29...31).contains(warnings.count), "\(warnings.count)")
    #expect(warnings.first?.contains("expires in 29 days") == true, "\(warnings.first ?? "")")
    #expect(warnings.allSatisfy { $0.contains("WARN") && $0.contains(watched.device.certificateFile) })
    let errors = watched.recorded.lines.filter { $0.contains("expired") }
    #expect((2...4).contains(errors.count), "\(errors)")
    #expect(errors.allSatisfy { $0.contains("ERROR") })
  }

  @Test(arguments: [(90, "certificate expires in 89 days"), (-1, "certificate expired 24 h 0 min ago")])
  func `shows in the status when the certificate expires`(days: Int, text: String) throws {
    let watched = try Watched(days: days)
    var shown: [String] = []
    let status = AgentStatus { shown.append($0) }
    watched.watch.status = status
    status.waits(until: .now, isConnected: true, isReachable: true, note: nil)
    #expect(shown.last?.contains("; \(text)") == true, "\(shown)")
  }
}
