import CLinux
import Glibc
import Platform
import TestSupport
import Testing

@testable import DeviceDefender

@Suite struct StateDirectoryTests {
  private let origin = CounterOrigin(bootID: "b", networkNamespace: 1, procfs: "/proc")

  private static var state: SavedState {
    var baseline = Baseline()
    baseline.networkCounters = NetworkCounters(interfaces: [
      InterfaceCounters(
        name: "eth0", index: 2, traffic: Traffic(bytesIn: .max, bytesOut: 1, packetsIn: 2, packetsOut: 3)),
      InterfaceCounters(name: "a\"\u{1}é", index: nil, traffic: Traffic()),
    ])
    baseline.processorTimes = ProcessorTimes(columns: [1, 2, 3, 4, 5, 6, 7, 8, 9, .max])
    return SavedState(lastReportID: .max, baseline: baseline)
  }

  /// A state whose baseline doesn't know all interfaces.
  private static var partialState: SavedState {
    var state = state
    state.baseline?.networkCounters?.isPartial = true
    return state
  }

  private func open(_ path: String, _ log: RecordedLog, origin: CounterOrigin? = nil) throws -> StateDirectory
  {
    try StateDirectory(path: path, origin: origin ?? self.origin, log: log.log())
  }

  private func files(_ path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      names.append(
        unsafe withUnsafeBytes(of: &entry.pointee.d_name) {
          unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        })
    }
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }

  @Test(
    arguments: [
      SavedState(), SavedState(lastReportID: 7), SavedState(lastReportID: 1, baseline: Baseline()), state,
      partialState,
    ])
  func `finds what it saved`(state: SavedState) throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    try open(directory.path + "/new", log).save(SavedState(lastReportID: 3))
    try open(directory.path + "/new", log).save(state)
    let loaded = try open(directory.path + "/new", log).load()
    #expect(loaded.lastReportID == state.lastReportID)
    // An empty baseline and none are the same.
    #expect(loaded.baseline ?? Baseline() == state.baseline ?? Baseline())
    #expect(log.lines == [])
    #expect(files(directory.path + "/new") == ["state.json"])
    var status = stat()
    #expect(unsafe stat(directory.path + "/new/state.json", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(unsafe stat(directory.path + "/new", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o700)
  }

  @Test func `starts from nothing where there is nothing`() throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    #expect(try open(directory.path, log).load() == SavedState())
    #expect(log.lines == [])
  }

  @Test(
    arguments: [
      CounterOrigin(bootID: "c", networkNamespace: 1, procfs: "/proc"),
      CounterOrigin(bootID: "b", networkNamespace: 2, procfs: "/proc"),
      CounterOrigin(bootID: "b", networkNamespace: 1, procfs: "/host-proc"),
    ])
  func `keeps the number but not the counters of another boot, namespace or procfs`(other: CounterOrigin)
    throws
  {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    try open(directory.path, log).save(Self.state)
    #expect(try open(directory.path, log, origin: other).load() == SavedState(lastReportID: .max))
    #expect(log.lines.count == 1)
  }

  @Test(
    arguments: [
      "", "{", "[]", "null", #"{"version":2}"#, #"{"version":1}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":-1}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"interfaces":[{}]}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"processor_times":[1]}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"interfaces":[],"interfaces_are_partial":1}"#,
      String(repeating: "x", count: 5 << 20),
    ])
  func `moves a damaged file aside and says so`(text: String) throws {
    let directory = try TemporaryDirectory()
    try directory.write("state.json", text)
    let log = RecordedLog()
    let state = try open(directory.path, log)
    #expect(state.load() == SavedState())
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("WARN") == true)
    let left = files(directory.path)
    #expect(left.count == 1)
    #expect(left.first?.hasSuffix(".unusable") == true)
    #expect(try readFile("\(directory.path)/\(left.first ?? "")", limit: 8 << 20) == Array(text.utf8))
    try state.save(Self.state)
    #expect(state.load() == Self.state)
  }

  @Test func `follows no link and reads no pipe`() throws {
    let directory = try TemporaryDirectory()
    let target = try directory.write("elsewhere", Self.state.encoded(origin))
    #expect(unsafe symlink(target, "\(directory.path)/state.json") == 0)
    let log = RecordedLog()
    let state = try open(directory.path, log)
    #expect(state.load() == SavedState())
    #expect(unsafe mkfifo("\(directory.path)/state.json", 0o600) == 0)
    #expect(state.load() == SavedState())
    #expect(log.lines.count == 2)
    try state.save(SavedState())
    #expect(try readFile(target, limit: 1 << 20) == Self.state.encoded(origin))
  }

  @Test func `survives seeded damage to its file`() {
    var random = SeededRandom(seed: 5)
    let bytes = Self.state.encoded(origin)
    for _ in 0..<5_000 {
      guard let (state, _) = try? SavedState.decode(damaged(bytes, using: &random)) else { continue }
      // Whatever was made of it can be counted from.
      _ = NetworkCounters().traffic(since: state.baseline?.networkCounters ?? NetworkCounters())
      var sequence = ReportSequence(last: state.lastReportID)
      _ = sequence.next(at: WallTime(secondsSinceEpoch: 0))
    }
  }

  @Test(arguments: ["/no/such/parent/state", "/proc/self/status"])
  func `says when the directory can't be had`(path: String) {
    #expect(throws: Errno.self) { try open(path, RecordedLog()) }
  }

  @Test func `leaves the old file where the new one can't be written`() throws {
    let directory = try TemporaryDirectory()
    let state = try open(directory.path, RecordedLog())
    try state.save(Self.state)
    // A directory in the way of the temporary file.
    try directory.write("state.json.new/x", "")
    #expect(throws: Errno.self) { try state.save(SavedState()) }
    #expect(state.load() == Self.state)
  }

  @Test func `knows this machine's boot and namespace`() throws {
    let origin = try CounterOrigin.current(ProcRoot())
    #expect(origin.bootID.utf8.count == 36)
    #expect(try CounterOrigin.current(ProcRoot()) == origin)
  }
}

@Suite struct ReportSequenceTests {
  @Test(
    arguments: [
      (0, 1_000, 1_000), (1_000, 1_000, 1_001), (2_000, 1_000, 2_001), (0, -5, 1), (.max, 1_000, .max),
    ] as [(UInt64, Int64, UInt64)])
  func `always increases`(last: UInt64, now: Int64, next: UInt64) {
    var sequence = ReportSequence(last: last)
    #expect(sequence.next(at: WallTime(secondsSinceEpoch: now)) == next)
    #expect(sequence.last == next)
  }
}
