import DefenderAgent
import DeviceDefender
import Glibc
import Platform

extension CollectCommand {
  /// Shows a table that is updated, or prints a line for each sample if there is no terminal that can show one.
  func runWatch(_ configuration: Configuration, _ shutdown: ShutdownSignal) throws {
    let environment = Environment.ofThisProcess
    let seconds = interval ?? 2
    let detector = try readDetector()
    let time = SystemWaiter(shutdown: shutdown)
    var schedule = ReportSchedule(interval: .seconds(seconds), first: time.bootTime)
    guard var terminal = try WatchTerminal.take(shutdown: shutdown, environment: environment) else {
      var sampler = sampler(configuration, detector, log: Log(environment), shutdown)
      return try printLines(&sampler, &schedule, time, shutdown)
    }
    let notices = Notices()
    var view = WatchView(
      interval: seconds, isUnicode: usesUnicode(environment),
      units: Dictionary(
        configuration.customMetrics.map { ($0.name.text, $0.unit) }, uniquingKeysWith: { first, _ in first }))
    let isStyled = usesStyles(on: STDOUT_FILENO, environment)
    var sampler = sampler(configuration, detector, log: notices.log(environment), shutdown)
    for number in 1... {
      view.add(sampler.sample(at: time), at: time.wallTime)
      if number == sampleCount { break }
      schedule.advance(past: time.bootTime)
      var event = WatchTerminal.Event.toBeDrawn
      while event == .toBeDrawn {
        let lines = view.lines(for: terminal.size, notice: notices.last)
        terminal.draw(lines.map { $0.rendered(isStyled: isStyled) })
        event = terminal.wait(until: schedule.next)
      }
      if event == .quit { break }
    }
  }

  private func printLines(
    _ sampler: inout Sampler, _ schedule: inout ReportSchedule, _ time: SystemWaiter,
    _ shutdown: ShutdownSignal
  ) throws {
    let log = Log(.ofThisProcess)
    guard var destination = try ReportDestination(path: nil, shutdown: shutdown) else { return }
    for number in 1... {
      let sample = sampler.sample(at: time)
      show(sample.events, log)
      let line = "\(CivilTime(time.wallTime).extendedFormat) \(sample.summary)"
      guard destination.write(Array("\(escapingControlCharacters(line))\n".utf8)) else { return }
      if number == sampleCount { return }
      schedule.advance(past: time.bootTime)
      if time.wait(until: schedule.next) != .onTime { return }
    }
  }
}
