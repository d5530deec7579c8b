import CLinux
import Glibc
import Platform
import TestSupport
import Testing

@testable import DeviceDefender

/// A process that another test starts holds every lock of this process until it calls execve(2): a released directory is free
/// a moment later.
private let forkPatience = Duration.seconds(10)

@Suite struct `A state keeper` {
  private let time = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_800_000_000))

  /// Returns a keeper of the directory `state` in `parent`.
  private func keeper(in parent: TemporaryDirectory, _ log: RecordedLog) -> StateKeeper {
    StateKeeper(path: "\(parent.path)/state", procfs: ProcRoot(), log: log.log(level: .info))
  }

  @Test func `saves and logs nothing without a directory`() {
    let log = RecordedLog()
    var keeper = StateKeeper(path: nil, procfs: ProcRoot(), log: log.log())
    let opened = keeper.open(at: time)
    keeper.save(SavedState(lastReportID: 1), at: time)
    #expect(opened == nil)
    #expect(log.lines == [])
  }

  @Test func `opens a directory once, and loads the state saved there`() throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    var first = keeper(in: parent, log)
    let opened = [first.open(at: time), first.open(at: time)]
    #expect(opened == [SavedState(), nil])
    first.save(SavedState(lastReportID: 7), at: time)
    _ = consume first
    var second = keeper(in: parent, log)
    let found = second.open(at: time, patience: forkPatience)
    #expect(found == SavedState(lastReportID: 7))
    #expect(log.lines == [])
  }

  @Test func `doesn't write a state that is already on disk`() throws {
    let parent = try TemporaryDirectory()
    var keeper = keeper(in: parent, RecordedLog())
    _ = keeper.open(at: time)
    var inodes: [ino_t] = []
    for id in [7, 7, 8] as [UInt64] {
      keeper.save(SavedState(lastReportID: id), at: time)
      var status = stat()
      #expect(unsafe stat("\(parent.path)/state/state.json", &status) == 0)
      inodes.append(status.st_ino)
    }
    // Each write creates a new file.
    #expect(inodes[0] == inodes[1] && inodes[1] != inodes[2])
  }

  @Test func `works without state while another keeper holds the directory, then takes over`() throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    var first = keeper(in: parent, RecordedLog())
    _ = first.open(at: time)
    first.save(SavedState(lastReportID: 7), at: time)
    var second = keeper(in: parent, log)
    let refused = [second.open(at: time), second.open(at: time)]
    second.save(SavedState(lastReportID: 99), at: time)
    #expect(refused == [nil, nil])
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("[WARN]") == true)
    #expect(log.lines.first?.contains("is in use by another process") == true)
    #expect(log.lines.first?.contains("may use the same report ids") == true)
    let start = BootTime.now
    let late = second.open(at: time, patience: .milliseconds(100))
    #expect(late == nil && start.duration(to: .now) >= .milliseconds(100))
    first.save(SavedState(lastReportID: 8), at: time)
    _ = consume first
    let taken = second.open(at: time, patience: forkPatience)
    #expect(taken == SavedState(lastReportID: 8))
    #expect(log.lines.last?.contains("is available now") == true)
  }

  @Test func `logs a failure once an hour, and the recovery`() throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    var keeper = keeper(in: parent, log)
    _ = keeper.open(at: time)
    keeper.save(SavedState(lastReportID: 1), at: time)
    // A directory in place of the temporary file.
    try parent.write("state/state.json.new/x", "")
    for id in 2...122 as ClosedRange<UInt64> {
      keeper.save(SavedState(lastReportID: id), at: time)
      time.advance(by: .seconds(60))
    }
    // At 0, 60 and 120 minutes.
    #expect(log.lines.count == 3)
    #expect(log.lines.allSatisfy { $0.contains("[ERROR]") && $0.contains("can't be written to") })
    try parent.remove("state/state.json.new/x")
    #expect(unsafe rmdir("\(parent.path)/state/state.json.new") == 0)
    for id in [123, 124] as [UInt64] { keeper.save(SavedState(lastReportID: id), at: time) }
    #expect(log.lines.count == 4)
    #expect(log.lines.last?.contains("can be written to again") == true)
  }

  @Test func `saves a state again after a failed attempt`() throws {
    let parent = try TemporaryDirectory()
    var first = keeper(in: parent, RecordedLog())
    _ = first.open(at: time)
    first.save(SavedState(lastReportID: 1), at: time)
    try parent.write("state/state.json.new/x", "")
    first.save(SavedState(lastReportID: 2), at: time)
    try parent.remove("state/state.json.new/x")
    #expect(unsafe rmdir("\(parent.path)/state/state.json.new") == 0)
    first.save(SavedState(lastReportID: 2), at: time)
    _ = consume first
    var second = keeper(in: parent, RecordedLog())
    let found = second.open(at: time, patience: forkPatience)
    #expect(found == SavedState(lastReportID: 2))
  }

  @Test func `uses a directory as soon as it can be opened, and logs failure and recovery`() throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    // A file in place of the directory.
    try parent.write("state", "")
    var keeper = keeper(in: parent, log)
    let refused = [keeper.open(at: time), keeper.open(at: time)]
    #expect(refused == [nil, nil])
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("[ERROR]") == true)
    #expect(log.lines.first?.contains("Not a directory") == true)
    try parent.remove("state")
    let opened = keeper.open(at: time)
    #expect(opened == SavedState())
    #expect(log.lines.count == 2)
  }

  @Test(arguments: [true, false])
  func `follows its path to a directory that replaced the first one`(isSavedBetween: Bool) throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    var keeper = keeper(in: parent, log)
    _ = keeper.open(at: time)
    keeper.save(SavedState(lastReportID: 1), at: time)
    var other = StateKeeper(path: "\(parent.path)/other", procfs: ProcRoot(), log: log.log(level: .info))
    _ = other.open(at: time)
    other.save(SavedState(lastReportID: 7), at: time)
    _ = consume other
    #expect(unsafe rename("\(parent.path)/state", "\(parent.path)/moved") == 0)
    #expect(unsafe rename("\(parent.path)/other", "\(parent.path)/state") == 0)
    let moved = try readFile("\(parent.path)/moved/state.json", limit: 4_096)
    if isSavedBetween { keeper.save(SavedState(lastReportID: 2), at: time) }
    let opened = [keeper.open(at: time, patience: forkPatience), keeper.open(at: time)]
    #expect(opened == [SavedState(lastReportID: 7), nil])
    // The state is the same as before, but it isn't in this directory.
    keeper.save(SavedState(lastReportID: 1), at: time)
    #expect(try readFile("\(parent.path)/state/state.json", limit: 4_096) == moved)
    #expect(try readFile("\(parent.path)/moved/state.json", limit: 4_096) == moved)
    #expect(log.lines.count == 2)
    #expect(log.lines.first?.contains("was moved, replaced or removed") == true)
    #expect(log.lines.last?.contains("is available now") == true)
  }

  @Test func `creates a removed directory again`() throws {
    let parent = try TemporaryDirectory()
    let log = RecordedLog()
    var keeper = keeper(in: parent, log)
    _ = keeper.open(at: time)
    keeper.save(SavedState(lastReportID: 1), at: time)
    try parent.remove("state/state.json")
    #expect(unsafe rmdir("\(parent.path)/state") == 0)
    keeper.save(SavedState(lastReportID: 2), at: time)
    let opened = keeper.open(at: time)
    #expect(opened == SavedState())
    keeper.save(SavedState(lastReportID: 2), at: time)
    #expect(try readFile("\(parent.path)/state/state.json", limit: 4_096).count > 0)
  }
}
