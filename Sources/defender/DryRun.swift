import DefenderAgent
import DeviceDefender
import Glibc
import Platform
import WireFormats

/// Takes samples and prints reports without publishing them: the Python agent's `--dryrun`.
struct DryRun {
  private let configuration: Configuration
  /// The file that each CBOR report replaces, as with the Python agent.
  private let cborFile: String

  init(_ environment: Environment, cborFile: String) throws(ConfigurationError) {
    var mistakes: [ConfigurationError.Mistake] = []
    configuration = Configuration(ofReports: environment, withSchedule: true, noting: &mistakes)
    // A dry run doesn't use the other variables.
    let used = [Variable.format, .names, .customMetrics, .interval].map(\.rawValue)
    mistakes.removeAll { !used.contains($0.variable) }
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
    self.cborFile = cborFile
  }

  /// Prints a report at once and then one each configured interval until the process is asked to stop. Nothing is published,
  /// so a short interval isn't raised.
  /// Returns false if a single report was requested and couldn't be made.
  func run(once: Bool, time: SystemWaiter, log: Log) throws -> Bool {
    let console = Console()
    var reporter = Reporter(
      collector: Collector(
        procfs: ProcRoot(configuration.procfsPath), log: log, systemMetrics: configuration.customMetrics))
    var schedule = ReportSchedule(interval: configuration.interval, first: time.bootTime)
    while time.wait(until: schedule.next) == .onTime {
      let snapshot = reporter.snapshot()
      let draft = reporter.draft(of: snapshot, at: time.wallTime)
      let report = draft.report
      if report.isEmpty {
        log.error("No metrics could be read; no report was made.")
      } else {
        guard console.output(readable(report.encoded(as: .json, names: configuration.names))) else {
          return true
        }
        if configuration.format == .cbor {
          let bytes = report.encoded(as: .cbor, names: configuration.names)
          guard try write(bytes, stoppedBy: time.shutdownSignal) else { return true }
        }
      }
      reporter.acknowledge(draft.nextBaseline)
      if once { return !report.isEmpty }
      schedule.advance(past: time.bootTime)
      log.info("Next report in \(configuration.interval.inWords).")
    }
    return true
  }

  /// Writes a report to the file, pipe or device; returns false if that failed.
  private func write(_ bytes: [UInt8], stoppedBy shutdown: ShutdownSignal?) throws(CommandFailure) -> Bool {
    guard let shutdown, var destination = try ReportDestination(path: cborFile, shutdown: shutdown) else {
      return false
    }
    return destination.write(bytes)
  }
}
