import DefenderAgent
import DeviceDefender
import Foundation
import Platform
import TestSupport
import Testing
import WireFormats

/// A clock that calls `observer` each time that the code under test reads it, and `whileWaiting` before each wait ends.
private final class ObservedTime: Waiter {
  let clock: ManualTime
  var observer: () -> Void = {}
  var whileWaiting: () -> Void = {}
  var shutdownSignal: ShutdownSignal? { nil }

  init(_ clock: ManualTime) { self.clock = clock }

  var wallTime: WallTime {
    observer()
    return clock.wallTime
  }
  var bootTime: BootTime {
    observer()
    return clock.bootTime
  }

  func wait(until instant: BootTime) -> Wake {
    defer { whileWaiting() }
    return clock.wait(until: instant)
  }
}

/// What one message does on its way.
private enum Fate { case arrives, isLost, arrivesWithoutAcknowledgement }

/// A device whose agent is killed again and again, and the broker that receives its reports.
///
/// A kill is simulated by an image of the state directory, taken when the code reads the clock: between each two of its file
/// operations. What the process does afterwards isn't counted, and the next process starts from the image.
private final class KilledDevice: Publisher {
  let tree: TemporaryDirectory
  let clock = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_700_000_000))
  var random: SeededRandom
  var fate: (inout SeededRandom) -> Fate = { _ in .arrives }
  private(set) var counter = 1_000
  /// The reports in the order of their arrival: the id and the delta of the received bytes.
  private(set) var arrived: [(id: Int, bytes: Int?)] = []
  private var isDead = false
  private var readsBeforeKill: Int?

  init(seed: UInt64) throws {
    tree = try TemporaryDirectory()
    random = SeededRandom(seed: seed)
  }

  private var state: String { "\(tree.path)/state" }
  private var image: String { "\(tree.path)/image" }

  /// Runs a process until it has made `reports` reports, or until it has read the clock `kill` times. Returns whether it was
  /// killed.
  @discardableResult
  func runProcess(reports: Int, kill: Int? = nil) throws -> Bool {
    isDead = false
    readsBeforeKill = nil
    try setBytesIn(counter, in: tree)
    let time = ObservedTime(clock)
    time.whileWaiting = { self.receiveBytes() }
    try {
      var configuration = try LoopStage.configuration(
        variables(ofStateIn: tree).merging(["DEFENDER_SPOOL_BYTES": "1000000", "DEFENDER_JITTER": "0"]) {
          $1
        },
        over: tree)
      configuration.beginsWithBaseline = true
      try setBytesIn(counter, in: tree)
      var loop = ReportLoop(
        configuration, publisher: self, time: time, log: Log { _, _ in }, random: random)
      readsBeforeKill = kill
      time.observer = { self.noteRead() }
      _ = try loop.run(ReportPlan(reports: reports), until: clock.bootTime.advanced(by: .seconds(100_000)))
    }()
    clock.advance(by: .seconds(300))
    guard isDead else { return false }
    try FileManager.default.removeItem(atPath: state)
    try FileManager.default.moveItem(atPath: image, toPath: state)
    return true
  }

  private func receiveBytes() {
    guard !isDead else { return }
    counter += Int.random(in: 0...1_000, using: &random)
    try? setBytesIn(counter, in: tree)
  }

  private func noteRead() {
    guard !isDead, let left = readsBeforeKill else { return }
    readsBeforeKill = left - 1
    // A report that arrived without having been in the spool is repeated after a crash at this moment, with another id.
    guard left <= 0, !lastArrivalIsUnsaved else { return }
    isDead = true
    do {
      try FileManager.default.copyItem(atPath: state, toPath: image)
      // The temporary file of an interrupted write.
      let id = clock.wallTime.secondsSinceEpoch
      for name in ["state.json", String(format: "spool/%020d.report", id)] where Bool.random(using: &random) {
        guard FileManager.default.fileExists(atPath: "\(image)/spool") || name == "state.json" else {
          continue
        }
        let part = Array("DDSPOOL1........".utf8.prefix(Int.random(in: 0...16, using: &random)))
        try tree.write("image/\(name).new", part)
      }
    } catch {
      Issue.record(error)
    }
  }

  private var lastArrivalIsUnsaved: Bool {
    guard let id = arrived.last?.id, savedState(in: tree)["baseline_if_spooled"] != nil,
      savedState(in: tree)["last_report_id"]?.integer() == id
    else { return false }
    return !FileManager.default.fileExists(atPath: state + String(format: "/spool/%020d.report", id))
  }

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: WireFormats.QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    clock.advance(by: .milliseconds(50))
    let fate = isDead ? .isLost : fate(&random)
    if fate != .isLost, let report = try? JSONValue(parsing: payload),
      let id: Int = report["header"]?["report_id"]?.integer()
    {
      arrived.append((id, report["metrics"]?["network_stats"]?["bytes_in"]?.integer()))
    }
    guard fate == .arrives else {
      throw PublishError(.noTimeLeft, topic: topic, endpoint: "broker", attempts: 1)
    }
    return PublishReceipt(attempts: 1)
  }

  /// The reports without those that repeat an id. Expects that repetitions have the same contents, and that the others come in the
  /// order of their ids.
  func uniqueReports(sourceLocation: SourceLocation) -> [(id: Int, bytes: Int?)] {
    var unique: [Int: Int?] = [:]
    var order: [(id: Int, bytes: Int?)] = []
    for report in arrived {
      if let earlier = unique[report.id] {
        #expect(earlier == report.bytes, "report \(report.id)", sourceLocation: sourceLocation)
        continue
      }
      #expect(report.id > order.last?.id ?? 0, "report \(report.id)", sourceLocation: sourceLocation)
      unique[report.id] = report.bytes
      order.append(report)
    }
    return order
  }

  /// Ends all faults, and expects that everything arrives exactly once.
  func expectTruth(sourceLocation: SourceLocation = #_sourceLocation) throws {
    fate = { _ in .arrives }
    try runProcess(reports: 2)
    let last = counter
    let total = uniqueReports(sourceLocation: sourceLocation).reduce(0) { $0 + ($1.bytes ?? 0) }
    // Bytes that came after the snapshot of the last report aren't in it.
    let saved = savedState(in: tree)["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self)
    #expect(total == (saved ?? 0) - 1_000, "of \(last)", sourceLocation: sourceLocation)
    let waiting = (try? FileManager.default.contentsOfDirectory(atPath: "\(state)/spool")) ?? []
    #expect(waiting == [], sourceLocation: sourceLocation)
  }
}

@Suite struct `Reports in the spool` {
  /// The counters of the device are the truth.
  @Test(arguments: 1...24 as ClosedRange<UInt64>)
  func `count each byte exactly once over failures and crashes at random times`(seed: UInt64) throws {
    let device = try KilledDevice(seed: seed)
    try device.runProcess(reports: 1)
    var kills = 0
    for _ in 0..<8 {
      let isOnline = Bool.random(using: &device.random)
      device.fate = { random in
        switch Int.random(in: 0..<10, using: &random) {
        case 0: .arrivesWithoutAcknowledgement
        case 1: isOnline ? .isLost : .arrives
        default: isOnline ? .arrives : .isLost
        }
      }
      let reads = Int.random(in: 0...60, using: &device.random)
      if try device.runProcess(reports: 4, kill: reads) { kills += 1 }
    }
    #expect(kills >= 2)
    try device.expectTruth()
  }

  /// Three reports fail, and then the connection is back: all file operations of the spool happen.
  @Test func `count each byte exactly once wherever a crash happens`() throws {
    var points = 0
    for reads in 0... {
      let device = try KilledDevice(seed: UInt64(reads))
      try device.runProcess(reports: 1)
      var sent = 0
      device.fate = { _ in
        sent += 1
        return sent == 2 ? .arrivesWithoutAcknowledgement : sent > 3 ? .arrives : .isLost
      }
      let isKilled = try device.runProcess(reports: 5, kill: reads)
      try device.expectTruth()
      guard isKilled else { break }
      points += 1
    }
    #expect(points > 50)
  }
}
