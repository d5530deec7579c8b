import DefenderAgent
import GreengrassIPC
import Platform
import TestSupport
import Testing

/// Waits like the system, but stops the component after 30 s, so that a test can't hang.
private struct LimitedWaiter: Waiter {
  private let system: SystemWaiter
  private let stop: StopSwitch
  private let limit = BootTime.now.advanced(by: .seconds(30))

  init(_ stop: StopSwitch) throws {
    system = SystemWaiter(shutdown: try stop.signal())
    self.stop = stop
  }

  var wallTime: WallTime { system.wallTime }
  var bootTime: BootTime { system.bootTime }
  var shutdownSignal: ShutdownSignal? { system.shutdownSignal }

  func wait(until instant: BootTime) -> Wake {
    defer { stopAtLimit() }
    return system.wait(until: min(instant, limit))
  }

  func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    defer { stopAtLimit() }
    return try system.wait(
      for: descriptor, toBe: readiness, until: min(deadline, limit), endsOnShutdown: endsOnShutdown)
  }

  private func stopAtLimit() {
    if bootTime >= limit { stop.stop() }
  }
}

@Suite(.ownThreads) struct `A Greengrass component` {
  @Test(arguments: FakeNucleus.Manner.allCases)
  func `ends its loop for a changed configuration, and not as if it had received a signal`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try FakeNucleus(manner)
    let stop = try StopSwitch()
    let time = try LimitedWaiter(stop)
    var lines: [String] = []
    let log = Log(level: .debug) { _, line in
      let text = String(decoding: line, as: UTF8.self)
      lines.append(text)
      // The first report has failed, because the nucleus allows no topic, and the next one is an interval away.
      if text.contains("was not published") {
        try? nucleus.do(#"{"do": "configure", "configuration": {"SampleIntervalSeconds": 900}}"#)
      }
      if text.contains("The report loop ended") { stop.stop() }
    }
    let client = IPCClient(
      socketPath: nucleus.socketPath, token: FakeNucleus.token, log: log, time: time)
    var component = Component(Environment(["DEFENDER_THING_NAME": "t1"]), client, time: time, log: log)
    component.run()
    let ends = lines.filter { $0.contains("The report loop ended") }
    #expect(ends.count == 1)
    #expect(ends.first?.contains("The report loop ended (configuration)") == true, "\(ends)")
    #expect(lines.last?.contains("Stopped: ") == true)
  }
}
