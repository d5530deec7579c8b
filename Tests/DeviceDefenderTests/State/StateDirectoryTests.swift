import CLinux
import Glibc
import Platform
import TestSupport
import Testing

@testable import DeviceDefender

@Suite struct `A state directory` {
  private let origin = CounterOrigin(bootID: "b", networkNamespace: 1, procfs: "/proc")

  private static var state: SavedState {
    var baseline = Baseline()
    baseline.networkCounters = NetworkCounters(interfaces: [
      InterfaceCounters(
        name: "eth0", index: 2, traffic: Traffic(bytesIn: .max, bytesOut: 1, packetsIn: 2, packetsOut: 3)),
      InterfaceCounters(name: "a\"\u{1}é", index: nil, traffic: Traffic()),
    ])
    baseline.processorTimes = ProcessorTimes(columns: [1, 2, 3, 4, 5, 6, 7, 8, 9, .max])
    return SavedState(lastReportID: 1_800_000_000, baseline: baseline, answeredThing: "a \"thing\"")
  }

  /// A state with a partial baseline.
  private static var partialState: SavedState {
    var state = state
    state.baseline?.networkCounters?.isPartial = true
    return state
  }

  private let now = WallTime(secondsSinceEpoch: 1_800_000_100)

  /// A process that another test starts holds every lock of this process until it calls execve(2), so this waits for a lock.
  private func open(
    _ path: String, _ log: RecordedLog, origin: CounterOrigin? = nil, patience: Duration = .seconds(10)
  ) throws -> StateDirectory {
    try StateDirectory(path: path, origin: origin ?? self.origin, log: log.log(), patience: patience)
  }

  /// Returns the state in the directory at `path`.
  private func load(_ path: String, _ log: RecordedLog, origin: CounterOrigin? = nil) throws -> SavedState {
    try open(path, log, origin: origin).load(at: now)
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
  func `loads the state that it saved`(state: SavedState) throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    try open(directory.path + "/new", log).save(SavedState(lastReportID: 3))
    try open(directory.path + "/new", log).save(state)
    let loaded = try load(directory.path + "/new", log)
    #expect(loaded.lastReportID == state.lastReportID)
    #expect(loaded.answeredThing == state.answeredThing)
    // An empty baseline is equivalent to none.
    #expect(loaded.baseline ?? Baseline() == state.baseline ?? Baseline())
    #expect(log.lines == [])
    #expect(files(directory.path + "/new") == ["state.json"])
    var status = stat()
    #expect(unsafe stat(directory.path + "/new/state.json", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(unsafe stat(directory.path + "/new", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o700)
  }

  @Test func `starts with an empty state if none was saved`() throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    #expect(try load(directory.path, log) == SavedState())
    #expect(log.lines == [])
  }

  @Test(
    arguments: [
      CounterOrigin(bootID: "c", networkNamespace: 1, procfs: "/proc"),
      CounterOrigin(bootID: "b", networkNamespace: 2, procfs: "/proc"),
      CounterOrigin(bootID: "b", networkNamespace: 1, procfs: "/host-proc"),
    ])
  func `keeps the id but not the counters of another boot, namespace or procfs`(other: CounterOrigin)
    throws
  {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    try open(directory.path, log).save(Self.state)
    let kept = SavedState(lastReportID: 1_800_000_000, answeredThing: Self.state.answeredThing)
    #expect(try load(directory.path, log, origin: other) == kept)
    #expect(log.lines.count == 1)
  }

  @Test(
    arguments: [
      "", "{", "[]", "null", #"{"version":2}"#, #"{"version":1}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":-1}"#,
      #"{"version":2,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"interfaces":[{"name":"a","index":-1,"bytes_in":1,"bytes_out":1,"packets_in":1,"packets_out":1}]}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"interfaces":[{}]}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"processor_times":[1]}"#,
      #"{"version":1,"boot_id":"b","network_namespace":1,"procfs":"/proc","last_report_id":1,"interfaces":[],"interfaces_are_partial":1}"#,
      String(repeating: "x", count: 5 << 20),
    ])
  func `moves a damaged file aside and logs it`(text: String) throws {
    let directory = try TemporaryDirectory()
    try directory.write("state.json", text)
    let log = RecordedLog()
    #expect(try load(directory.path, log) == SavedState())
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("WARN") == true)
    let left = files(directory.path)
    #expect(left.count == 1)
    #expect(left.first?.hasSuffix(".unusable") == true)
    #expect(try readFile("\(directory.path)/\(left.first ?? "")", limit: 8 << 20) == Array(text.utf8))
    try open(directory.path, log).save(Self.state)
    #expect(try load(directory.path, log) == Self.state)
  }

  @Test func `follows no link and reads no pipe`() throws {
    let directory = try TemporaryDirectory()
    let target = try directory.write("elsewhere", Self.state.encoded(origin))
    #expect(unsafe symlink(target, "\(directory.path)/state.json") == 0)
    let log = RecordedLog()
    #expect(try load(directory.path, log) == SavedState())
    #expect(unsafe mkfifo("\(directory.path)/state.json", 0o600) == 0)
    #expect(try load(directory.path, log) == SavedState())
    #expect(unsafe mknod("\(directory.path)/state.json", S_IFSOCK | 0o600, 0) == 0)
    #expect(try load(directory.path, log) == SavedState())
    #expect(log.lines.count == 3)
    #expect(log.lines.first?.contains("it is a symbolic link") == true)
    #expect(log.lines.last?.contains("it isn't a regular file") == true)
    try open(directory.path, log).save(SavedState())
    #expect(try readFile(target, limit: 1 << 20) == Self.state.encoded(origin))
  }

  @Test(arguments: [
    (EPERM, true), (ELOOP, true), (EINVAL, true), (EFBIG, true), (EIO, false), (EMFILE, false),
    (ENFILE, false),
    (ENOMEM, false), (EACCES, false), (ESTALE, false),
  ])
  func `moves a file aside only if the failure is permanent`(code: Int32, isSetAside: Bool) {
    #expect((StateDirectory.reasonToSetAside(Errno(rawValue: code)) != nil) == isSetAside)
  }

  @Test func `keeps a file that temporarily can't be read`() throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    let opened = try open(directory.path, log)
    try opened.save(Self.state)
    #expect(unsafe chmod("\(directory.path)/state.json", 0) == 0)
    // Root can read every file, unless this thread accesses files as another user (setfsuid(2)).
    guard let symbol = unsafe dlsym(nil, "setfsuid") else { throw Errno(rawValue: ENOSYS) }
    let setUser = unsafe unsafeBitCast(symbol, to: (@convention(c) (UInt32) -> Int32).self)
    var failure: Errno?
    _ = setUser(65_534)
    do throws(Errno) { _ = try opened.load(at: now) } catch { failure = error }
    _ = setUser(geteuid())
    #expect(failure == Errno(rawValue: EACCES))
    #expect(files(directory.path) == ["state.json"])
    #expect(unsafe chmod("\(directory.path)/state.json", 0o600) == 0)
    #expect(try opened.load(at: now) == Self.state)
    #expect(log.lines == [])
  }

  @Test func `survives seeded damage to its file`() {
    var random = SeededRandom(seed: 5)
    let bytes = Self.state.encoded(origin)
    for _ in 0..<5_000 {
      guard let (state, _) = try? SavedState.decode(damaged(bytes, using: &random)) else { continue }
      // Any result must work as a baseline.
      _ = NetworkCounters().traffic(since: state.baseline?.networkCounters ?? NetworkCounters())
      var sequence = ReportSequence(last: state.lastReportID)
      _ = sequence.next(at: WallTime(secondsSinceEpoch: 0))
    }
  }

  @Test(arguments: ["/no/such/parent/state", "/proc/self/status"])
  func `throws if the directory can't be opened or created`(path: String) {
    #expect(throws: Errno.self) { _ = try open(path, RecordedLog()) }
  }

  @Test func `keeps the old file if the new one can't be written`() throws {
    let directory = try TemporaryDirectory()
    try open(directory.path, RecordedLog()).save(Self.state)
    // A directory in place of the temporary file.
    try directory.write("state.json.new/x", "")
    #expect(throws: Errno.self) { try open(directory.path, RecordedLog()).save(SavedState()) }
    #expect(try load(directory.path, RecordedLog()) == Self.state)
  }

  @Test func `identifies this machine's boot and namespace`() throws {
    let origin = try CounterOrigin.current(ProcRoot())
    #expect(origin.bootID.utf8.count == 36)
    #expect(try CounterOrigin.current(ProcRoot()) == origin)
  }

  // Ten years are 315,576,000 s. A clock before 2026 (1,767,225,600) counts as 2026, and a clock before the
  // file's modification time counts as that time.
  @Test(
    arguments: [
      (1_800_000_100, 0, 1_800_000_100 + 315_576_000, true),
      (1_800_000_100, 0, 1_800_000_100 + 315_576_001, false),
      (1_800_000_100, 0, .max, false), (1_800_000_100, 0, .max - 1, false),
      (1_800_000_100, 0, 1 << 63, false),
      (1_800_000_100, 0, 1_800_000_100_000, false), (0, 0, 1_767_225_600 + 315_576_000, true),
      (0, 0, 1_767_225_600 + 315_576_001, false), (-5, 0, 1_800_000_000, true),
      (0, 2_114_380_800, 2_114_380_800, true),
      (1_800_000_100, 2_114_380_800, 2_114_380_800 + 315_576_000, true),
      (0, 2_114_380_800, 2_114_380_800 + 315_576_001, false),
    ] as [(Int64, Int, UInt64, Bool)])
  func `rejects a last id more than ten years ahead of the clock, and moves the file aside`(
    now: Int64, written: Int, id: UInt64, isAccepted: Bool
  ) throws {
    let directory = try TemporaryDirectory()
    let log = RecordedLog()
    try open(directory.path, log).save(SavedState(lastReportID: id, baseline: Self.state.baseline))
    let times = [timespec(tv_sec: written, tv_nsec: 0), timespec(tv_sec: written, tv_nsec: 0)]
    let isDated = unsafe utimensat(AT_FDCWD, "\(directory.path)/state.json", times, 0) == 0
    #expect(isDated)
    let loaded = try open(directory.path, log).load(at: WallTime(secondsSinceEpoch: now))
    #expect(loaded.lastReportID == (isAccepted ? id : 0))
    #expect((loaded.baseline == nil) == !isAccepted)
    #expect(files(directory.path) == [isAccepted ? "state.json" : "state.json.\(now).unusable"])
    #expect(log.lines.count == (isAccepted ? 0 : 1))
    #expect(isAccepted || log.lines.first?.contains("[WARN]") == true)
    #expect(isAccepted || log.lines.first?.contains("last_report_id is \(id)") == true)
  }

  @Test(
    arguments: [
      (1_000, 0o700, 1_000, nil), (1_000, 0o755, 1_000, nil), (0, 0o755, 1_000, nil),
      (1_000, 0o770, 1_000, "mode 770"), (1_000, 0o720, 1_000, "mode 720"), (1_000, 0o702, 1_000, "mode 702"),
      (1_000, 0o1777, 1_000, "mode 1777"), (0, 0o775, 1_000, "mode 775"),
      (1_000, 0o700, 0, "belongs to user 1000"), (1_001, 0o700, 1_000, "belongs to user 1001"),
    ] as [(UInt32, UInt32, UInt32, String?)])
  func `detects that others can change a state`(
    owner: UInt32, permissions: UInt32, user: UInt32, words: String?
  ) {
    let risk = StateDirectory.risk(owner: owner, permissions: permissions, user: user)
    #expect((risk == nil) == (words == nil), "\(risk ?? "")")
    #expect(words.map { risk?.contains($0) == true } ?? true, "\(risk ?? "")")
  }

  @Test(arguments: [(0o770, 1), (0o707, 1), (0o755, 0)] as [(UInt32, Int)])
  func `warns about a directory that others can write to`(permissions: UInt32, warnings: Int) throws {
    let directory = try TemporaryDirectory()
    #expect(unsafe chmod(directory.path, permissions) == 0)
    let log = RecordedLog()
    _ = try open(directory.path, log)
    #expect(log.lines.count == warnings)
    #expect(log.lines.allSatisfy { $0.contains("[WARN]") && $0.contains("Set its mode to 700") })
  }

  @Test func `warns about a directory that belongs to another user`() throws {
    let directory = try TemporaryDirectory()
    // Only root can change a directory's owner.
    let isRoot = geteuid() == 0
    if isRoot { #expect(unsafe chown(directory.path, 1, 1) == 0) }
    let log = RecordedLog()
    _ = try open(directory.path, log)
    #expect(log.lines.count == (isRoot ? 1 : 0))
    #expect(
      log.lines.allSatisfy { $0.contains("belongs to user 1, ") && $0.contains("Make user 0 its owner") })
  }

  @Test func `is held by one at a time`() throws {
    let directory = try TemporaryDirectory()
    let first = try open(directory.path, RecordedLog())
    #expect(throws: Errno(rawValue: EAGAIN)) {
      _ = try open(directory.path, RecordedLog(), patience: .zero)
    }
    try first.save(Self.state)
    _ = consume first
    #expect(try load(directory.path, RecordedLog()) == Self.state)
  }
}
