import DeviceDefender
import Detection
import Glibc
import Platform
import WireFormats

/// Evaluates this device's snapshots against the security profiles, and keeps the events until they are published.
struct Detector {
  /// The file of the state directory that keeps the alarms and the events.
  static let fileName = "detection.json"
  private static let version: UInt64 = 1

  private(set) var configuration: DetectionConfiguration
  private let log: Log
  private var evaluator = Evaluator([], windowsEnd: .clock)
  private var hasProfiles = false
  /// The files of the profiles as they were when they were read; empty if reading them failed, so that they are read again.
  private var stamps: [FileStamp] = []
  /// Why the profiles couldn't be read the last time; nil if they could. The same reason is logged once.
  private var failure: ProfileFileError?
  /// The counters of the last evaluated snapshot. They differ from the report's baseline, which moves only with acknowledged
  /// reports.
  private var counters: NetworkCounters?
  /// Whether this process has evaluated a snapshot, so that its alarms are newer than saved ones.
  private var hasEvaluated = false
  private(set) var queue = EventQueue()
  /// The events for which the command hasn't run yet.
  private(set) var forCommand: [[UInt8]] = []

  init(_ configuration: DetectionConfiguration, log: Log) {
    self.configuration = configuration
    self.log = log
    load()
  }

  /// Continues with another configuration. Alarms of behaviors that it doesn't contain become invalid.
  mutating func update(to configuration: DetectionConfiguration) {
    guard configuration != self.configuration else { return }
    let isOtherSource = configuration.source != self.configuration.source
    self.configuration = configuration
    if isOtherSource { load() }
  }

  /// The lists that snapshots must keep complete instead of sampling them.
  var completeSets: CompleteSets.Selection { CompleteSets.Selection(neededBy: evaluator) }

  /// Reads the profiles. If that fails, logs the error and keeps the previous profiles.
  private mutating func load() {
    do throws(ProfileFileError) {
      switch configuration.source {
      case .inline(let profiles, let warnings):
        stamps = []
        use(profiles, warnings: warnings)
      case .files(let paths):
        // Taken before the files are read, so that a file that changes meanwhile is read again.
        stamps = paths.map(FileStamp.init)
        let files = try ProfileFiles(at: paths)
        use(files.profiles, warnings: files.warnings)
      }
      failure = nil
    } catch {
      // A file can become readable without a change that stat(2) shows, for example when its mount recovers.
      stamps = []
      guard error != failure else { return }
      failure = error
      let consequence =
        hasProfiles ? "The previous ones stay in use." : "Nothing is evaluated until they are corrected."
      log.error("The security profiles can't be used: \(error) \(consequence)")
    }
  }

  private mutating func use(_ profiles: [SecurityProfile], warnings: [String]) {
    for warning in warnings { log.warn(warning) }
    for profile in profiles {
      for behavior in profile.behaviors {
        guard let reason = behavior.reasonNotEvaluated else { continue }
        log.warn("The behavior '\(behavior.name)' of '\(profile.name)' isn't evaluated: \(reason).")
      }
    }
    let names = profiles.map { "'\($0.name)' (behaviors: \($0.behaviors.count))" }.joined(separator: ", ")
    log.info("Evaluating the security profiles \(names).")
    let learned = profiles.reduce(0) { $0 + $1.behaviors.count { $0.isLearned } }
    if learned > 0 {
      log.info(
        "Learned baselines: \(learned). Each raises no alarm until it has values from \(Evaluator.learningHours) different hours."
      )
    }
    evaluator = Evaluator(profiles, state: evaluator.state, windowsEnd: .clock)
    hasProfiles = true
  }

  /// Reads the profiles again if one of their files changed. Call it before a snapshot, because the profiles decide which lists the
  /// snapshot keeps complete.
  mutating func readChangedProfiles() {
    if case .files(let paths) = configuration.source, stamps != paths.map(FileStamp.init) { load() }
  }

  /// Evaluates the snapshot of a report, and queues its events. Returns the number of events.
  mutating func evaluate(
    _ snapshot: MetricsSnapshot, _ report: Report, since baseline: NetworkCounters?, at now: WallTime
  ) -> Int {
    let time = UInt64(clamping: now.nanosecondsSinceEpoch / 1_000_000)
    var traffic: Traffic?
    if case .success(let current) = snapshot.networkCounters {
      traffic = (counters ?? baseline).map { current.traffic(since: $0) }
      counters = current
    }
    let observation = Observation(
      of: snapshot, traffic: traffic, customMetrics: report.customMetrics, thing: configuration.thing,
      reportID: report.id, time: time, table: evaluator.table)
    let events =
      evaluator.advance(to: time, thing: configuration.thing) + evaluator.evaluate(observation)
    hasEvaluated = true
    for event in events { add(event) }
    return events.count
  }

  private mutating func add(_ event: ViolationEvent) {
    let value = event.metricValue.map { ": \($0.summary)" } ?? ""
    log.warn(
      "Violation \(event.id) is \(event.type.rawValue): behavior '\(event.behavior.name)' of the profile "
        + "'\(event.profile)', \(event.behavior.metric)\(value).")
    let bytes = event.json(atMost: AWSIoTQuotas.publishPayloadBytes)
    queue.append(bytes)
    if configuration.command != nil { forCommand.append(bytes) }
  }

  mutating func removePublished() { queue.removeFirst() }

  mutating func takeDropped() -> UInt64 { queue.takeDropped() }

  /// Runs the command for each event of the last snapshot. A failure is only logged.
  mutating func runCommand(until end: BootTime, or shutdown: ShutdownSignal?) {
    guard let command = configuration.command else { return }
    defer { forCommand.removeAll() }
    for (index, event) in forCommand.enumerated() {
      let limit = min(end, BootTime.now.advanced(by: command.timeout))
      guard BootTime.now < limit else {
        log.warn("Didn't run \(command.path) for \(forCommand.count - index) events: no time was left.")
        return
      }
      do throws(ProgramError) {
        _ = try command.output(event + [UInt8(ascii: "\n")], log: log, until: limit, or: shutdown)
      } catch {
        if shutdown?.isRequested == true { return }
        log.warn("\(command.path): \(command.reason(of: error)). The event is still published.")
      }
    }
  }
}

// The saved state.
extension Detector {
  /// The alarms and the events in the file format.
  var state: [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 4)
    document.member("version", Self.version)
    document.key("evaluator")
    evaluator.state.write(to: &document)
    queue.write(to: &document)
    document.endMap()
    return document.bytes + [UInt8(ascii: "\n")]
  }

  /// Continues from the state that an earlier process saved. Its events are always queued; its alarms are ignored if this process
  /// has already evaluated a snapshot. If one of the two is malformed, the other is still used.
  mutating func restore(_ bytes: [UInt8]?) {
    guard let bytes else { return }
    let json: JSONValue
    do {
      json = try Self.document(bytes)
    } catch {
      log.warn(
        "The saved alarms and events in \(Self.fileName) can't be used: \(error). The agent starts without alarms, and the "
          + "unpublished events are lost.")
      return
    }
    do throws(DetectionStateError) {
      queue.prepend(try EventQueue(json))
    } catch {
      log.warn(
        "The saved events in \(Self.fileName) can't be used: \(error). The events that weren't published yet are lost."
      )
    }
    do throws(DetectionStateError) {
      guard let saved = json["evaluator"] else { throw .member("evaluator") }
      let state = try alarms(saved)
      if !hasEvaluated { evaluator = evaluator.continued(from: state) }
    } catch {
      log.warn(
        "The saved alarms in \(Self.fileName) can't be used: \(error). The agent starts without alarms.")
    }
  }

  private static func document(_ bytes: [UInt8]) throws -> JSONValue {
    let json = try JSONValue(parsing: bytes)
    guard let version = json["version"] else { throw DetectionStateError.member("version") }
    guard version == .number("\(Self.version)") else {
      if case .number(let text) = version { throw DetectionStateError.version(text) }
      throw DetectionStateError.member("version")
    }
    return json
  }

  private func alarms(_ json: JSONValue) throws(DetectionStateError) -> DetectionState {
    do throws(DetectionStateError) {
      return try DetectionState(json)
    } catch {
      throw error.within("evaluator")
    }
  }
}

/// Identifies a version of a file. Changed permissions and a restored modification time change the time of the inode's change.
private struct FileStamp: Equatable {
  private var inode: UInt64 = 0
  private var size: Int64 = 0
  private var modified = Time()
  private var changed = Time()

  private struct Time: Equatable {
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
  }

  init(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    modified = Time(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
    changed = Time(seconds: Int64(status.st_ctim.tv_sec), nanoseconds: Int64(status.st_ctim.tv_nsec))
  }
}
