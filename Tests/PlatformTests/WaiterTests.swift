import Glibc
import Platform
import TestSupport
import Testing

/// A task that is due at the given times, and records when it ran.
private final class ScriptedTask: IdleTask {
  private let time: any TimeSource
  private var moments: [BootTime]
  private(set) var runs: [(at: BootTime, deadline: BootTime)] = []

  init(_ time: any TimeSource, dueAt moments: [BootTime]) {
    self.time = time
    self.moments = moments
  }

  var nextDue: BootTime? { moments.first }

  func run(until deadline: BootTime) {
    moments.removeFirst()
    runs.append((time.bootTime, deadline))
  }

  func add(_ moment: BootTime) { moments.append(moment) }
}

/// A task that runs at most once an interval, when the process is awake anyway.
private final class OpportunisticTask: IdleTask {
  private let time: any TimeSource
  private let interval: Duration
  private(set) var runs: [BootTime] = []

  init(_ time: any TimeSource, every interval: Duration) {
    self.time = time
    self.interval = interval
  }

  var nextDue: BootTime? { nil }
  var nextChance: BootTime? { runs.last?.advanced(by: interval) ?? time.bootTime }

  func run(until deadline: BootTime) { runs.append(time.bootTime) }
}

@Suite struct `A wait with background work` {
  private let time = ManualTime()
  private let start: BootTime

  init() {
    start = time.bootTime
  }

  private func after(_ seconds: Int64) -> BootTime { start.advanced(by: .seconds(seconds)) }

  @Test func `runs each task when it is due, and leaves tasks due at the end to the next wait`() {
    let first = ScriptedTask(time, dueAt: [after(10), after(30), after(100)])
    let second = ScriptedTask(time, dueAt: [after(20)])
    let waiter = TaskRunningWaiter(time, running: [first, second])
    #expect(waiter.wait(until: after(100)) == .onTime)
    #expect(first.runs.map(\.at) == [after(10), after(30)])
    #expect(second.runs.map(\.at) == [after(20)])
    #expect(first.runs.allSatisfy { $0.deadline == after(100) })
    #expect(time.bootTime == after(100))
    #expect(waiter.wait(until: after(101)) == .onTime)
    #expect(first.runs.map(\.at) == [after(10), after(30), after(100)])
  }

  @Test func `runs a task that became due while it waited, before it returns`() {
    let task = ScriptedTask(time, dueAt: [])
    let signal = ScriptedTask(time, dueAt: [after(10)])
    let waiter = TaskRunningWaiter(Interjecting(time) { task.add(self.start) }, running: [signal, task])
    #expect(waiter.wait(until: after(5)) == .onTime)
    #expect(task.runs.map(\.at) == [after(5)])
    #expect(signal.runs.isEmpty)
  }

  @Test func `runs a task that waits for a chance when something else ends a wait, never for it alone`() {
    let task = OpportunisticTask(time, every: .seconds(60))
    let signal = ScriptedTask(time, dueAt: [after(50), after(70), after(140)])
    let waiter = TaskRunningWaiter(time, running: [task, signal])
    // The wait begins while the process is awake; its end belongs to the caller.
    #expect(waiter.wait(until: after(200)) == .onTime)
    #expect(task.runs == [after(0), after(70), after(140)])
    #expect(waiter.wait(until: after(300)) == .onTime)
    #expect(task.runs == [after(0), after(70), after(140), after(200)])
    #expect(time.wakeUps == [after(50), after(70), after(140), after(200), after(300)])
  }

  @Test func `ends on a stop request, and runs no more tasks`() {
    time.shutdown = after(20)
    let task = ScriptedTask(time, dueAt: [after(10), after(20), after(30)])
    #expect(TaskRunningWaiter(time, running: [task]).wait(until: after(100)) == .shutdown)
    #expect(task.runs.map(\.at) == [after(10)])
    #expect(time.bootTime == after(20))
  }

  @Test func `ends when something else needs the caller`() {
    time.interruption = after(20)
    let task = ScriptedTask(time, dueAt: [after(10), after(30)])
    #expect(TaskRunningWaiter(time, running: [task]).wait(until: after(100)) == .interrupted)
    #expect(time.bootTime == after(20))
  }

  @Test(arguments: [("60000000", [30, 60, 90, 100]), ("250000000", [100])])
  func `reports to the service manager twice in each of its intervals`(interval: String, waits: [Int64])
    throws
  {
    let manager = try #require(
      ServiceManager(Environment(["NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": interval])))
    let watchdog = try #require(Watchdog(manager, time: time))
    #expect(TaskRunningWaiter(time, running: [watchdog]).wait(until: after(100)) == .onTime)
    #expect(time.wakeUps == waits.map { after($0) })
    // The watchdog reported before the wait ended, so the next report is due after it.
    let next = try #require(watchdog.nextDue)
    #expect(next > after(100))
  }

  @Test func `has no watchdog if the service manager doesn't watch`() throws {
    let manager = try #require(ServiceManager(Environment(["NOTIFY_SOCKET": "/nonexistent/notify"])))
    #expect(Watchdog(manager, time: time) == nil)
  }
}

/// A waiter that calls `body` at the end of each wait.
private struct Interjecting: Waiter {
  let time: ManualTime
  let body: () -> Void

  init(_ time: ManualTime, _ body: @escaping () -> Void) {
    self.time = time
    self.body = body
  }

  var wallTime: WallTime { time.wallTime }
  var bootTime: BootTime { time.bootTime }
  var shutdownSignal: ShutdownSignal? { nil }

  func wait(until instant: BootTime) -> Wake {
    defer { body() }
    return time.wait(until: instant)
  }
}

/// A task with a descriptor, which reads a byte when it runs.
private final class Listener: IdleTask {
  private let input: Int32
  private(set) var runs = 0
  private(set) var received = 0
  /// Whether the task needs the caller after each byte.
  let endsWait: Bool

  init(_ input: Int32, endsWait: Bool) {
    self.input = input
    self.endsWait = endsWait
  }

  var nextDue: BootTime? { nil }
  var descriptor: Int32? { input }
  var needsCaller: Bool { endsWait && received > 0 }

  func run(until deadline: BootTime) {
    runs += 1
    var byte: UInt8 = 0
    if unsafe read(input, &byte, 1) == 1 { received += 1 }
  }
}

@Suite struct `A wait with a descriptor` {
  private let time = SystemWaiter(shutdown: nil)

  private struct Pipe: ~Copyable {
    let input: FileDescriptor
    let output: FileDescriptor

    init() throws {
      var ends: [Int32] = [0, 0]
      _ = try retryingOnInterrupt { unsafe pipe(&ends) }
      input = FileDescriptor(owning: ends[0])
      output = FileDescriptor(owning: ends[1])
    }
  }

  @Test func `ends when the task needs the caller, long before the instant`() throws {
    let pipe = try Pipe()
    let task = Listener(pipe.input.rawValue, endsWait: true)
    try pipe.output.writeAll([1])
    #expect(
      TaskRunningWaiter(time, running: [task]).wait(until: .now.advanced(by: .seconds(3_600))) == .message)
    #expect(task.runs == 1 && task.received == 1)
    // The caller hasn't handled it yet, so another wait ends at once.
    #expect(TaskRunningWaiter(time, running: [task]).wait(until: .distantFuture) == .message)
    #expect(task.runs == 1)
  }

  @Test func `continues if the task doesn't need the caller`() throws {
    let pipe = try Pipe()
    let task = Listener(pipe.input.rawValue, endsWait: false)
    try pipe.output.writeAll([1, 2])
    #expect(
      TaskRunningWaiter(time, running: [task]).wait(until: .now.advanced(by: .milliseconds(50))) == .onTime)
    // Once for each byte. Nothing else woke it.
    #expect(task.runs == 2 && task.received == 2)
  }
}
