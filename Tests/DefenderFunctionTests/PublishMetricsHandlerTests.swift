import AWSClient
import DefenderAgent
import DefenderFunction
import Glibc
import HTTPClient
import LambdaRuntime
import Platform
import TestSupport
import Testing
import WireFormats

/// Takes what it is given, or refuses it, as told.
private final class ScriptedPublisher: Publisher, ReportConfirmer {
  let time: ManualTime
  /// Whether each publish in turn is acknowledged; all after the last are.
  var acknowledgements: [Bool] = []
  /// What Device Defender says about each report in turn, where it says anything.
  var confirmations: [ReportConfirmation] = []
  /// What it has said about unanswered reports when the next one is due, in turn.
  var lateConfirmations: [ReportConfirmation?] = []
  var provesDelivery = true
  /// Why a publish isn't.
  var refusal = PublishError.Cause.exchange(.connectionLost("made up"))
  var timeTaken = Duration.milliseconds(100)
  /// Called while each report is on its way.
  var whilePublishing: () -> Void = {}
  private(set) var payloads: [JSONValue] = []
  private(set) var topics: [String] = []
  private(set) var deadlines: [BootTime] = []
  private(set) var announced: [UInt64] = []
  private(set) var confirmationDeadlines: [BootTime] = []

  init(time: ManualTime) {
    self.time = time
  }

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    payloads.append((try? JSONValue(parsing: payload)) ?? .null)
    topics.append(topic.name)
    deadlines.append(deadline)
    time.advance(by: timeTaken)
    whilePublishing()
    let isAcknowledged = acknowledgements.isEmpty || acknowledgements.removeFirst()
    guard isAcknowledged else {
      throw PublishError(refusal, topic: topic, endpoint: "http://localhost", attempts: 1)
    }
    return PublishReceipt(status: 200, attempts: 1)
  }

  func announce(reportID: UInt64) { announced.append(reportID) }

  func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    confirmationDeadlines.append(deadline)
    return confirmations.isEmpty ? nil : confirmations.removeFirst()
  }

  func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    lateConfirmations.isEmpty ? nil : lateConfirmations.removeFirst()
  }
}

extension ScriptedPublisher {
  /// What each report says of the bytes received; nil in one without a delta.
  var bytesIn: [Int?] { payloads.map { $0["metrics"]?["network_stats"]?["bytes_in"]?.integer() } }
}

/// The variables that keep a state in `tree`, of one boot.
private func variables(ofStateIn tree: TemporaryDirectory) throws -> [String: String] {
  try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
  return ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
}

/// What is saved there; null if nothing is.
private func savedState(in tree: TemporaryDirectory) -> JSONValue {
  let bytes = try? readFile("\(tree.path)/state/state.json", limit: 65_536)
  return bytes.flatMap { try? JSONValue(parsing: $0) } ?? .null
}

/// Records how much time each call has left, by the system clock.
private final class TimedPublisher: Publisher {
  private(set) var left: [Duration] = []

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    left.append(BootTime.now.duration(to: deadline))
    return PublishReceipt(status: 200, attempts: 1)
  }
}

/// A handler over a procfs tree of its own, with everything around it in the test's hands.
private struct Stage: ~Copyable {
  let time = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_700_000_000))
  let publisher: ScriptedPublisher
  let procfs: TemporaryDirectory
  let lines = Lines()
  var handler: PublishMetricsHandler

  final class Lines {
    var text = ""
  }

  init(
    _ variables: [String: String] = [:], over tree: TemporaryDirectory? = nil,
    beginsWithBaseline: Bool = false
  ) throws {
    let procfs = try tree ?? TemporaryDirectory()
    var configuration = try Self.configuration(variables, over: procfs)
    configuration.beginsWithBaseline = beginsWithBaseline
    let lines = lines
    let log = Log { _, line in lines.text += String(decoding: line, as: UTF8.self) }
    self.procfs = procfs
    publisher = ScriptedPublisher(time: time)
    handler = PublishMetricsHandler(
      ReportLoop(configuration, publisher: publisher, time: time, log: log), time: time)
  }

  /// Fills `procfs`, and returns a configuration that has it read.
  static func configuration(_ variables: [String: String], over procfs: TemporaryDirectory) throws
    -> Configuration
  {
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(1_000, in: procfs)
    var environment = [
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "PROCFS_PATH": procfs.path,
      "DEFENDER_TOPIC": "defender/{thing}/{format}",
    ]
    environment.merge(variables) { _, given in given }
    return try Configuration(Environment(environment))
  }

  mutating func invoke(_ event: String, seconds: Int64 = 900) throws -> JSONValue {
    let deadline = time.wallTime.advanced(by: .seconds(seconds))
    let context = try Context(requestID: "id", deadline: deadline)
    let response = try handler.handle(Event(Array(event.utf8)), context)
    return try JSONValue(parsing: response.body)
  }
}

/// Makes one report in a process of its own, which ends then.
private func reportOnce(_ variables: [String: String], over tree: TemporaryDirectory) throws {
  var stage = try Stage(variables, over: tree)
  _ = try stage.invoke(#"{"reports":1}"#)
}

private func setBytesIn(_ bytes: Int, in procfs: TemporaryDirectory) throws {
  let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
  try procfs.write(
    "net/dev", "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: \(bytes) 1 \(zeros)\n")
}

@Suite struct PublishMetricsHandlerTests {
  @Test func `reports a delta from the second report on`() throws {
    var stage = try Stage()
    let first = try stage.invoke(#"{"reports":1}"#)
    try setBytesIn(1_500, in: stage.procfs)
    let second = try stage.invoke(#"{"reports":1}"#)
    #expect(first["published"]?.integer(as: Int.self) == 1)
    #expect(second["ended"]?.string == "reports")
    #expect(second["topic"]?.string == "defender/thing/json")
    #expect(second["transport"]?.string == "https")
    let metrics = stage.publisher.payloads.map { $0["metrics"] }
    #expect(metrics.count == 2)
    #expect(metrics[0]?["network_stats"] == nil)
    #expect(metrics[1]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 500)
  }

  @Test func `tells in the next report what a lost one would have told`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    _ = try stage.invoke(#"{"reports":1}"#)
    try setBytesIn(1_200, in: stage.procfs)
    stage.publisher.acknowledgements = [false]
    #expect(throws: InvocationFailure.self) { try stage.invoke(#"{"reports":1}"#) }
    try setBytesIn(1_700, in: stage.procfs)
    let answer = try stage.invoke(#"{"reports":1}"#)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    let bytes = stage.publisher.payloads.map {
      $0["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self)
    }
    #expect(bytes == [nil, 200, 700])
  }

  @Test func `counts afresh where another configuration has it read another network`() throws {
    let other = try TemporaryDirectory()
    var stage = try Stage()
    _ = try stage.invoke(#"{"reports":1}"#)
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try other.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(900_000, in: other)
    for path in [other.path, other.path, stage.procfs.path] {
      let configuration = try Configuration(
        Environment([
          "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "PROCFS_PATH": path,
          "DEFENDER_TOPIC": "defender/{thing}/{format}",
        ]))
      stage.handler.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
      _ = try stage.invoke(#"{"reports":1}"#)
    }
    let bytes = stage.publisher.payloads.map {
      $0["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self)
    }
    #expect(bytes == [nil, nil, 0, nil])
  }

  @Test func `tells the same failure every few minutes and no more`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1", "SAMPLE_INTERVAL_SECONDS": "10"])
    stage.publisher.acknowledgements = Array(repeating: false, count: 50)
    _ = try stage.invoke(#"{"reports":51}"#)
    // In 500 s.
    #expect(stage.lines.text.split(separator: "\n").filter { $0.contains("was not published") }.count == 3)
  }

  @Test func `fails when nothing was published, and says why`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    stage.publisher.acknowledgements = [false, false]
    let failure = #expect(throws: InvocationFailure.self) {
      try stage.invoke(#"{"reports":2,"interval_seconds":1}"#)
    }
    #expect(failure?.type == "Function.PublishFailed")
    #expect(failure?.message.contains("2 failed") == true)
    #expect(failure?.message.contains("made up") == true)
  }

  @Test func `counts failures among successes and goes on`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    stage.publisher.acknowledgements = [true, false, true]
    let answer = try stage.invoke(#"{"reports":3,"interval_seconds":1}"#)
    #expect(answer["published"]?.integer(as: Int.self) == 2)
    #expect(answer["failed"]?.integer(as: Int.self) == 1)
    #expect(answer["last_error"]?.string?.contains("made up") == true)
  }

  @Test func `gives ids that always increase`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.001"])
    _ = try stage.invoke(#"{"reports":3,"interval_seconds":0.001}"#)
    // The clock is set back an hour between two invocations.
    stage.time.wallTime = stage.time.wallTime.advanced(by: .seconds(-3_600))
    _ = try stage.invoke(#"{"reports":2,"interval_seconds":0.001}"#)
    let ids = stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
    #expect(ids == [1_700_000_000, 1_700_000_001, 1_700_000_002, 1_700_000_003, 1_700_000_004])
  }

  @Test func `publishes on the beat until the deadline`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    let start = stage.time.bootTime
    let answer = try stage.invoke("{}", seconds: 900)
    #expect(answer["ended"]?.string == "deadline")
    #expect(answer["published"]?.integer(as: Int.self) == 3)
    #expect(stage.time.wakeUps == [0, 300, 600].map { start.advanced(by: .seconds($0)) })
    #expect(stage.publisher.deadlines.allSatisfy { $0 <= start.advanced(by: .milliseconds(899_500)) })
  }

  @Test func `waits for the thing's share of the interval in a loop without an end, once`() throws {
    var stage = try Stage()
    let start = stage.time.bootTime
    let share = shareOfInterval(.seconds(300), thing: "thing")
    _ = try stage.invoke("{}", seconds: 900)
    #expect(stage.time.wakeUps.first == start.advanced(by: share))
    let next = stage.time.bootTime
    let slept = stage.time.wakeUps.count
    _ = try stage.invoke("{}", seconds: 900)
    #expect(stage.time.wakeUps[slept] == next)
  }

  @Test func `takes another place in the interval when a report was throttled`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.publisher.acknowledgements = [true, false, true]
    stage.publisher.refusal = .refused(ServiceError(HTTPResponse(status: 429)))
    _ = try stage.invoke(#"{"reports":4}"#, seconds: 3_600)
    let gaps = zip(stage.time.wakeUps, stage.time.wakeUps.dropFirst()).map { $0.duration(to: $1) }
    try #require(gaps.count == 3)
    #expect(gaps[0] == .seconds(300) && gaps[2] == .seconds(300))
    // Later only: Device Defender throttles what comes sooner than 300 s.
    #expect(gaps[1] > .seconds(300) && gaps[1] < .seconds(600))
    #expect(stage.lines.text.contains("throttled"))
  }

  @Test(arguments: [
    (ReportConfirmation.rejected(code: "Throttled", message: "made up"), [nil, 200, 700]),
    (.rejected(code: "InvalidPayload", message: "made up"), [nil, 200, 700]),
    (.unanswered, [nil, 200, 500]),
  ])
  func `tells in the next report what a rejected one would have told`(
    confirmation: ReportConfirmation, told: [Int?]
  ) throws {
    var stage = try Stage()
    stage.publisher.confirmations = [.accepted, confirmation, .accepted]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: stage.procfs)
      _ = try stage.invoke(#"{"reports":1}"#)
    }
    let bytes = stage.publisher.payloads.map {
      $0["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self)
    }
    #expect(bytes == told)
  }

  /// The deltas of reports that are made 100 bytes apart and confirmed as given.
  private func deltas(
    _ stage: inout Stage, _ confirmations: [ReportConfirmation], late: [ReportConfirmation?] = []
  ) throws -> [Int?] {
    stage.publisher.confirmations = confirmations
    stage.publisher.lateConfirmations = late
    for number in confirmations.indices {
      try setBytesIn(1_000 + 100 * number, in: stage.procfs)
      _ = try stage.invoke(#"{"reports":1}"#)
    }
    return stage.publisher.payloads.map {
      $0["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self)
    }
  }

  @Test func `repeats what was published and not answered, if success proves nothing and there were answers`()
    throws
  {
    var stage = try Stage()
    stage.publisher.provesDelivery = false
    let told = try deltas(&stage, [.unanswered, .unanswered, .accepted, .unanswered, .unanswered, .accepted])
    #expect(told == [nil, 100, 100, 100, 200, 300])
  }

  @Test func `never behaves like publish while it waits for answers that can't be received`() throws {
    var stage = try Stage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ])
    let unavailable = ReportConfirmation.unavailable(reason: "made up.")
    let told = try deltas(
      &stage, [.accepted, unavailable, unavailable, unavailable, unavailable, unavailable, .accepted])
    #expect(told == [nil, 100, 200, 300, 400, 500, 600])
    let warnings = stage.lines.text.split(separator: "\n").filter { $0.contains("repeats the traffic") }
    #expect(warnings.count == 1)
    #expect(warnings.first?.hasSuffix("The likely cause: answers can't be received: made up.") == true)
  }

  @Test func `counts nothing twice if the answer came late`() throws {
    var stage = try Stage()
    stage.publisher.provesDelivery = false
    let told = try deltas(
      &stage, [.accepted, .unanswered, .unanswered, .unanswered, .accepted],
      late: [.accepted, nil, .rejected(code: "c", message: "m")])
    // The second was accepted late, the third not at all, and the fourth was rejected late.
    #expect(told == [nil, 100, 100, 200, 300])
    #expect(stage.lines.text.contains("Device Defender rejected report"))
  }

  @Test func `remembers across a restart that Device Defender answers`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state", "DEFENDER_JITTER": "0"]
    var first = try Stage(variables, over: tree)
    first.publisher.provesDelivery = false
    let before = try deltas(&first, [.accepted, .accepted])
    #expect(before == [nil, 100])
    _ = consume first  // It held the directory.
    var second = try Stage(variables, over: tree)
    second.publisher.provesDelivery = false
    second.publisher.confirmations = [.unanswered, .accepted]
    try setBytesIn(1_500, in: tree)
    for _ in 0..<2 { _ = try second.invoke(#"{"reports":1}"#) }
    let told = second.publisher.payloads.map {
      $0["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self)
    }
    #expect(told == [400, 400])
  }

  @Test func `warns that nobody answers on a topic of one's own`() throws {
    var stage = try Stage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "own/{thing}/{format}",
    ])
    for _ in 0..<2 { _ = try stage.invoke(#"{"reports":1}"#) }
    #expect(
      stage.lines.text.split(separator: "\n").count { $0.contains("nobody answers reports to own") } == 1)
  }

  @Test(arguments: [("1", 10.0), ("0", 10), ("1", 301), ("0", 301)])
  func `keeps its distance to the last report of the process before it`(jitter: String, pause: Double) throws
  {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state", "DEFENDER_JITTER": jitter]
    try reportOnce(variables, over: tree)
    var second = try Stage(variables, over: tree)
    second.time.advance(by: .seconds(pause))
    let start = second.time.bootTime
    _ = try second.invoke("{}", seconds: 1_800)
    let wait = start.duration(to: try #require(second.time.wakeUps.first))
    let share = jitter == "1" ? shareOfInterval(.seconds(300), thing: "thing") : .zero
    #expect(wait + .seconds(pause) >= .seconds(300))
    // The place in the interval stays; without one the wait is as short as it may be.
    let late: Duration = jitter == "1" ? share + .seconds(300) : .seconds(291)
    #expect(second.time.wakeUps.first == start.advanced(by: pause > 300 ? share : late))
  }

  @Test func `reports within the deadline, however short it is`() throws {
    var stage = try Stage()
    let answer = try stage.invoke("{}", seconds: 5)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    #expect(answer["ended"]?.string == "deadline")
  }

  @Test(arguments: [#"{"reports":1}"#, #"{"reports":1,"dry_run":true}"#])
  func `ends a metrics command in time to publish, however long it may take by itself`(event: String) throws {
    let tree = try TemporaryDirectory()
    let command = try tree.write("metrics", "#!/bin/sh\nsleep 60\n")
    #expect(unsafe chmod(command, 0o700) == 0)
    var stage = try Stage(["DEFENDER_CUSTOM_METRICS_COMMAND": command], over: tree)
    let start = BootTime.now
    let answer = try stage.invoke(event, seconds: 1)
    #expect(start.duration(to: .now) < .seconds(8), "the command's own timeout is 10 s")
    #expect(answer["failed"]?.integer(as: Int.self) == 0)
    #expect(stage.lines.text.contains("because the deadline left no more time"))
  }

  @Test func `leaves time to publish after a metrics command that takes all it gets`() throws {
    let tree = try TemporaryDirectory()
    let command = try tree.write("metrics", "#!/bin/sh\nsleep 60\n")
    #expect(unsafe chmod(command, 0o700) == 0)
    let environment = Environment([
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "DEFENDER_TOPIC": "own/{thing}",
      "DEFENDER_CUSTOM_METRICS_COMMAND": command,
    ])
    let publisher = TimedPublisher()
    let time = SystemTime(shutdown: nil)
    let loop = ReportLoop(
      try Configuration(environment), publisher: publisher, time: time, log: Log { _, _ in })
    var handler = PublishMetricsHandler(loop, time: time)
    let context = try Context(requestID: "id", deadline: WallTime.now.advanced(by: .seconds(10)))
    _ = try handler.handle(Event(Array(#"{"reports":1}"#.utf8)), context)
    // The command gets half of 9.5 s; a busy machine may need some of the other half.
    #expect(publisher.left.count == 1)
    #expect(publisher.left.allSatisfy { $0 > .zero && $0 < .seconds(5) })
  }

  @Test func `ends a metrics command in time when the first sample only begins the deltas`() throws {
    let tree = try TemporaryDirectory()
    let command = try tree.write("metrics", "#!/bin/sh\nsleep 60\n")
    #expect(unsafe chmod(command, 0o700) == 0)
    var stage = try Stage(
      ["DEFENDER_CUSTOM_METRICS_COMMAND": command], over: tree, beginsWithBaseline: true)
    let start = BootTime.now
    _ = try? stage.invoke(#"{"reports":1}"#, seconds: 1)
    #expect(start.duration(to: .now) < .seconds(8), "the command's own timeout is 10 s")
    #expect(stage.lines.text.contains("because the deadline left no more time"))
  }

  @Test func `fails at once where the deadline has passed`() throws {
    var stage = try Stage()
    let failure = #expect(throws: InvocationFailure.self) { try stage.invoke("{}", seconds: -10) }
    #expect(failure?.type == "Function.PublishFailed")
    #expect(failure?.message.contains("longer timeout") == true)
    #expect(stage.publisher.payloads.isEmpty)
  }

  @Test func `stops when it is asked to, and answers`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.time.shutdown = stage.time.bootTime.advanced(by: .seconds(400))
    let answer = try stage.invoke("{}", seconds: 9_000)
    #expect(answer["ended"]?.string == "signal")
    #expect(answer["published"]?.integer(as: Int.self) == 2)
  }

  @Test func `raises a short interval, and says so once`() throws {
    var stage = try Stage()
    let start = stage.time.bootTime
    _ = try stage.invoke(#"{"reports":2,"interval_seconds":10}"#)
    _ = try stage.invoke(#"{"reports":2,"interval_seconds":10}"#)
    #expect(stage.time.wakeUps[1] == start.advanced(by: .seconds(300)))
    #expect(stage.lines.text.components(of: "DEFENDER_MINIMUM_INTERVAL_SECONDS") == 1)
  }

  @Test func `warns once that Device Defender's own topics don't take HTTPS`() throws {
    var stage = try Stage(["DEFENDER_TOPIC": ""])
    _ = try stage.invoke(#"{"reports":1}"#)
    _ = try stage.invoke(#"{"reports":1}"#)
    #expect(stage.publisher.topics.last == "$aws/things/thing/defender/metrics/json")
    #expect(stage.lines.text.components(of: "DEFENDER_TOPIC") == 1)
  }

  @Test func `publishes nothing in a dry run, shows the report, and keeps the baseline`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    _ = try stage.invoke(#"{"reports":1}"#)
    try setBytesIn(1_300, in: stage.procfs)
    let answer = try stage.invoke(#"{"reports":1,"dry_run":true}"#)
    #expect(answer["report"]?["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 300)
    #expect(stage.publisher.payloads.count == 1)
    _ = try stage.invoke(#"{"reports":1}"#)
    let told = stage.publisher.payloads.last?["metrics"]?["network_stats"]?["bytes_in"]
    #expect(told?.integer(as: Int.self) == 300)
  }

  @Test func `leaves out a block that can't be read, and says so in the log`() throws {
    var stage = try Stage()
    try stage.procfs.remove("net/udp")
    let answer = try stage.invoke(#"{"reports":1}"#)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    let metrics = stage.publisher.payloads.last?["metrics"]
    #expect(metrics?["listening_udp_ports"] == nil)
    #expect(metrics?["listening_tcp_ports"]?["total"]?.integer(as: Int.self) == 0)
    #expect(stage.lines.text.contains("net/udp"))
  }

  @Test func `goes on after a restart where the last process ended`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
    try reportOnce(variables, over: tree)
    var second = try Stage(variables, over: tree)
    try setBytesIn(1_800, in: tree)
    // The clock was set back while nothing ran.
    second.time.wallTime = second.time.wallTime.advanced(by: .seconds(-3_600))
    _ = try second.invoke(#"{"reports":1}"#)
    let report = second.publisher.payloads.first
    #expect(report?["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 800)
    #expect(report?["header"]?["report_id"]?.integer(as: Int.self) == 1_700_000_001)
  }

  @Test func `begins anew after a boot, with an id that increases all the same`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
    try reportOnce(variables, over: tree)
    try tree.write("sys/kernel/random/boot_id", "00000000-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    var second = try Stage(variables, over: tree)
    _ = try second.invoke(#"{"reports":1}"#)
    let report = second.publisher.payloads.first
    #expect(report?["metrics"]?["network_stats"] == nil)
    #expect(report?["header"]?["report_id"]?.integer(as: Int.self) == 1_700_000_001)
  }

  @Test func `saves the id of a report before it publishes it, and the baseline after`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var stage = try Stage(variables, over: tree)
    var saved: [JSONValue] = []
    stage.publisher.whilePublishing = { saved.append(savedState(in: tree)) }
    // The second one isn't acknowledged.
    stage.publisher.acknowledgements = [true, false, true]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: tree)
      _ = try? stage.invoke(#"{"reports":1}"#)
    }
    saved.append(savedState(in: tree))
    let ids = stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: UInt64.self) }
    #expect(ids.count == 3)
    #expect(saved.dropLast().compactMap { $0["last_report_id"]?.integer(as: UInt64.self) } == ids)
    let baselines = saved.map { $0["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self) }
    #expect(baselines == [nil, 1_000, 1_000, 1_700])
  }

  @Test func `gives the id of a report that was cut short to no other one, within the same second`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var ids: [Int] = []
    for _ in 0..<5 {
      // The clock of each begins at the same second.
      var stage = try Stage(variables, over: tree)
      stage.publisher.timeTaken = .zero
      var disk: [UInt8] = []
      stage.publisher.whilePublishing = {
        disk = (try? readFile("\(tree.path)/state/state.json", limit: 65_536)) ?? []
      }
      _ = try stage.invoke(#"{"reports":1}"#)
      ids += stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
      _ = consume stage
      // As if it had been killed then: what was saved later never was.
      try tree.write("state/state.json", disk)
    }
    #expect(ids == Array(1_700_000_000...1_700_000_004))
  }

  @Test func `goes on with the clock's ids and its own baseline where no state can be saved`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    try tree.write("state/state.json.new/x", "")
    var stage = try Stage(variables, over: tree)
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: tree)
      _ = try stage.invoke(#"{"reports":1}"#)
      stage.time.advance(by: .seconds(100))
    }
    let ids = stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
    #expect(ids == [1_700_000_000, 1_700_000_100, 1_700_000_200])
    #expect(stage.publisher.bytesIn == [nil, 200, 500])
    #expect(stage.lines.text.components(of: "[ERROR]") == 1)
  }

  @Test func `keeps the state of another network where another configuration has it read that`() throws {
    let trees = try [TemporaryDirectory(), TemporaryDirectory()]
    let variables = try variables(ofStateIn: trees[0])
    try trees[1].write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    var stage = try Stage(variables, over: trees[0])
    _ = try stage.invoke(#"{"reports":1}"#)
    let configuration = try Stage.configuration(variables, over: trees[1])
    stage.handler.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    _ = try stage.invoke(#"{"reports":1}"#)
    // With the same network and state it goes on as it was.
    stage.handler.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try setBytesIn(1_300, in: trees[1])
    _ = try stage.invoke(#"{"reports":1}"#)
    #expect(stage.publisher.bytesIn == [nil, nil, 300])
    _ = consume stage
    var next = try Stage(variables, over: trees[1])
    try setBytesIn(1_700, in: trees[1])
    _ = try next.invoke(#"{"reports":1}"#)
    #expect(next.publisher.bytesIn == [400])
    let ids = next.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
    // Each of the others came an interval after the one before.
    #expect(ids == [1_700_000_601])
  }

  @Test func `saves its first baseline when it takes it, so that restarts lose nothing`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    // Each ends before its first report is due, an interval after its start.
    for bytes in [1_000, 2_000, 3_000, 4_000] {
      var stage = try Stage(variables, over: tree, beginsWithBaseline: true)
      try setBytesIn(bytes, in: tree)
      #expect(throws: InvocationFailure.self) { try stage.invoke("{}", seconds: 0) }
      #expect(stage.publisher.payloads.isEmpty)
    }
    try setBytesIn(5_000, in: tree)
    var stage = try Stage(variables, over: tree, beginsWithBaseline: true)
    try setBytesIn(5_000, in: tree)
    _ = try stage.invoke(#"{"reports":1}"#)
    #expect(stage.publisher.bytesIn == [4_000])
  }

  @Test(arguments: [1_000, 5_000])
  func `works without the state that another process holds, and continues from it when that ends`(ahead: Int)
    throws
  {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var first = try Stage(variables, over: tree)
    first.time.advance(by: .seconds(1_000))
    _ = try first.invoke(#"{"reports":1}"#)
    var second = try Stage(variables, over: tree)
    second.time.wallTime = second.time.wallTime.advanced(by: .seconds(ahead - 1_000))
    try setBytesIn(1_200, in: tree)
    _ = try second.invoke(#"{"reports":1}"#)
    #expect(second.lines.text.components(of: "is in use by another process") == 1)
    #expect(savedState(in: tree)["last_report_id"]?.integer(as: Int.self) == 1_700_001_000)
    _ = consume first
    // The id is larger than both processes' last one, whatever the clock says.
    second.time.wallTime = WallTime(secondsSinceEpoch: 1_699_000_000)
    try setBytesIn(1_500, in: tree)
    _ = try second.invoke(#"{"reports":1}"#)
    let ids = second.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
    #expect(ids == [1_699_999_000 + ahead, max(1_700_001_000, 1_699_999_000 + ahead) + 1])
    // Counted from its own report.
    #expect(second.publisher.bytesIn == [nil, 300])
  }

  /// The process before is still stopping when the next one starts. Its baseline is 1,000.
  @Test(arguments: [[], [ReportConfirmation.unanswered]])
  func `counts from the saved baseline when it takes over before any of its reports was acknowledged`(
    unanswered: [ReportConfirmation]
  ) throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree).merging([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ]) { $1 }
    var first = try Stage(variables, over: tree)
    first.publisher.confirmations = [.accepted]
    _ = try first.invoke(#"{"reports":1}"#)
    let start = BootTime.now
    var second = try Stage(variables, over: tree, beginsWithBaseline: true)
    // It waits for the other one.
    #expect(start.duration(to: .now) >= .seconds(2))
    try setBytesIn(5_001_000, in: tree)
    #expect(throws: InvocationFailure.self) { try second.invoke("{}", seconds: 0) }
    second.publisher.confirmations = unanswered + [.accepted, .accepted]
    for _ in unanswered { _ = try second.invoke(#"{"reports":1}"#) }
    _ = consume first
    // It is about a report that counted from 5,001,000.
    if !unanswered.isEmpty { second.publisher.lateConfirmations = [.accepted] }
    for bytes in [5_001_500, 5_001_700] {
      try setBytesIn(bytes, in: tree)
      _ = try second.invoke(#"{"reports":1}"#)
    }
    #expect(second.publisher.bytesIn == unanswered.map { _ in 0 } + [5_000_500, 200])
    #expect(savedState(in: tree)["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self) == 5_001_700)
  }

  @Test func `counts from the saved baseline, whatever is answered late about a report without deltas`()
    throws
  {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree).merging([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ]) { $1 }
    var first = try Stage(variables, over: tree)
    first.publisher.confirmations = [.accepted]
    _ = try first.invoke(#"{"reports":1}"#)
    var second = try Stage(variables, over: tree)
    try setBytesIn(5_001_000, in: tree)
    second.publisher.confirmations = [.unanswered, .accepted]
    _ = try second.invoke(#"{"reports":1}"#)
    _ = consume first
    // The traffic up to 5,001,000 is in no report.
    second.publisher.lateConfirmations = [.accepted]
    try setBytesIn(5_001_500, in: tree)
    _ = try second.invoke(#"{"reports":1}"#)
    #expect(second.publisher.bytesIn == [nil, 5_000_500])
  }

  @Test func `reports an interval after the first sample if that only began the deltas`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"], beginsWithBaseline: true)
    let start = stage.time.bootTime
    _ = try stage.invoke("{}", seconds: 500)
    #expect(stage.time.wakeUps == [start.advanced(by: .seconds(300))])
    #expect(stage.publisher.bytesIn == [0])
  }

  @Test func `reports an interval after its last report with another configuration`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    let start = stage.time.bootTime
    _ = try stage.invoke(#"{"reports":1}"#)
    let configuration = try Stage.configuration(["SAMPLE_INTERVAL_SECONDS": "400"], over: stage.procfs)
    stage.handler.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    _ = try stage.invoke(#"{"reports":1}"#)
    #expect(stage.time.wakeUps == [start, start.advanced(by: .seconds(400))])
  }

  // With a deadline less than two intervals away, a report within it matters more than the distance to the last one.
  @Test(arguments: [200, 400] as [Int64])
  func `reports before a near deadline, however recent the last process's report is`(seconds: Int64) throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    try reportOnce(variables, over: tree)
    var stage = try Stage(variables, over: tree)
    stage.time.advance(by: .seconds(10))
    _ = try stage.invoke("{}", seconds: seconds)
    #expect(stage.publisher.payloads.count == 1)
  }

  @Test func `counts from its first sample, also if that made no report`() throws {
    var stage = try Stage()
    for name in ["tcp", "tcp6", "udp", "udp6"] { try stage.procfs.remove("net/\(name)") }
    #expect(throws: InvocationFailure.self) { try stage.invoke(#"{"reports":1}"#) }
    #expect(stage.publisher.payloads.isEmpty)
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try stage.procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(1_400, in: stage.procfs)
    _ = try stage.invoke(#"{"reports":1}"#)
    #expect(stage.publisher.bytesIn == [400])
  }

  @Test(arguments: [
    (ReportConfirmation.accepted, [nil, 200, 500]), (.unanswered, [nil, 200, 700]),
    (.rejected(code: "InvalidPayload", message: "made up"), [nil, 200, 700]),
  ])
  func `moves the baseline only when Device Defender accepted a report, if so configured`(
    confirmation: ReportConfirmation, told: [Int?]
  ) throws {
    var stage = try Stage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "mqtt",
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1", "DEFENDER_TOPIC": "",
    ])
    stage.publisher.confirmations = [.accepted, confirmation, .accepted]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: stage.procfs)
      _ = try stage.invoke(#"{"reports":1}"#)
    }
    #expect(stage.publisher.bytesIn == told)
  }

  @Test func `announces each report, and waits for its answer until the deadline at most`() throws {
    var stage = try Stage()
    let start = stage.time.bootTime
    let answer = try stage.invoke(#"{"reports":1}"#, seconds: 5)
    #expect(stage.publisher.announced == [1_700_000_000])
    #expect(stage.publisher.deadlines == [start.advanced(by: .milliseconds(4_500))])
    #expect(stage.publisher.confirmationDeadlines == [start.advanced(by: .milliseconds(4_500))])
    // Nobody said anything about it.
    #expect(answer["accepted"] == nil && answer["unanswered"] == nil)
    _ = try stage.invoke(#"{"reports":1}"#, seconds: 900)
    #expect(stage.publisher.deadlines.last == start.advanced(by: .milliseconds(30_100)))
    #expect(stage.publisher.confirmationDeadlines.last == start.advanced(by: .milliseconds(10_200)))
  }

  @Test func `takes another place in the interval when Device Defender says that it throttles`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.publisher.confirmations = [
      .accepted, .rejected(code: "ThrottlingException", message: ""), .accepted,
    ]
    _ = try stage.invoke(#"{"reports":3}"#, seconds: 3_600)
    let gaps = zip(stage.time.wakeUps, stage.time.wakeUps.dropFirst()).map { $0.duration(to: $1) }
    #expect(gaps.count == 2 && gaps[0] == .seconds(300) && gaps[1] > .seconds(300))
  }

  @Test func `answers when it is asked to stop before the first report`() throws {
    var stage = try Stage()
    stage.time.shutdown = stage.time.bootTime
    let answer = try stage.invoke("{}")
    #expect(answer["ended"]?.string == "signal")
    #expect(answer["published"]?.integer(as: Int.self) == 0)
    #expect(answer["last_error"] == nil)
  }

  @Test func `warns of nothing that one report, or one that is only shown, doesn't meet`() throws {
    var stage = try Stage(["DEFENDER_TOPIC": ""])
    _ = try stage.invoke(#"{"reports":1,"interval_seconds":10,"dry_run":true}"#)
    #expect(stage.lines.text.components(of: "[WARN]") == 0, "\(stage.lines.text)")
  }

  @Test func `counts each report of a dry run from the one before`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    _ = try stage.invoke(#"{"reports":1}"#)
    try setBytesIn(1_300, in: stage.procfs)
    let answer = try stage.invoke(#"{"reports":2,"dry_run":true}"#)
    #expect(answer["report"]?["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 0)
  }

  // Reports are due at 0, 300, 600 and 900 s; 0.5 s are kept free for the answer.
  @Test(arguments: [(900.4, 0.1, 3), (901.4, 0.1, 3), (901.6, 0.1, 4), (904, 5, 3), (905.6, 5, 4)])
  func `begins no report without room for it before the deadline`(
    deadline: Double, timeTaken: Double, reports: Int
  ) throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.publisher.timeTaken = .milliseconds(Int64(timeTaken * 1_000))
    let context = try Context(
      requestID: "id", deadline: stage.time.wallTime.advanced(by: .milliseconds(Int64(deadline * 1_000))))
    _ = try stage.handler.handle(Event([]), context)
    #expect(stage.publisher.payloads.count == reports)
  }

  @Test func `adds the custom metrics that are asked for`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("uptime", "350735.47 234388.90\n")
    var stage = try Stage(["DEFENDER_CUSTOM_METRICS": "uptime"], over: tree)
    _ = try stage.invoke(#"{"reports":1}"#)
    let metric = stage.publisher.payloads.first?["custom_metrics"]?["uptime"]
    #expect(metric?.array?.first?["number"]?.double != nil)
  }

  @Test func `publishes no report of nothing`() throws {
    var stage = try Stage()
    for name in ["tcp", "tcp6", "udp", "udp6", "dev"] { try stage.procfs.remove("net/\(name)") }
    #expect(throws: InvocationFailure.self) { try stage.invoke(#"{"reports":1}"#) }
    #expect(stage.publisher.payloads.isEmpty)
  }

  @Test func `refuses an event it doesn't understand before it does anything`() throws {
    var stage = try Stage()
    #expect(throws: InvocationFailure.self) { try stage.invoke(#"{"report":1}"#) }
    #expect(stage.publisher.payloads.isEmpty)
    #expect(stage.time.wakeUps.isEmpty)
  }
}

extension String {
  /// How often `part` occurs.
  fileprivate func components(of part: String) -> Int {
    split(separator: part, omittingEmptySubsequences: false).count - 1
  }
}
