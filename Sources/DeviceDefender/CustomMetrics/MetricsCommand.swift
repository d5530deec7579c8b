package import Platform
import WireFormats

/// A program of the device owner's that tells custom metrics (`DEFENDER_CUSTOM_METRICS_COMMAND`).
///
/// It is started for each report, without arguments and without a shell, and writes to its standard output what
/// `custom_metrics` holds in a report: `{"queue_depth":[{"number":3}]}`. What it does wrong costs its metrics only.
package struct MetricsCommand: Equatable, Sendable {
  package static let defaultTimeout = Duration.seconds(10)
  /// How much it may write, in bytes.
  package static let outputLimit = 65_536
  /// How much of its standard error is logged for each report, in bytes.
  private static let errorLimit = 4_096
  /// The characters before the cut that aren't logged: the beginning of a secret may be too short to be recognized.
  private static let cutMargin = 64
  /// What it gets of the environment, where that is set: nothing with a secret in it.
  private static let inheritedVariables = [
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "AWS_IOT_THING_NAME", "PROCFS_PATH",
  ]

  package let path: String
  package let timeout: Duration
  private let environment: [String: String]

  /// The program at an absolute path.
  package init(
    path: String, timeout: Duration = defaultTimeout, environment: Environment
  ) throws(CustomMetricError) {
    guard path.hasPrefix("/") else { throw .relativePath(path) }
    self.path = path
    self.timeout = timeout
    var inherited: [String: String] = [:]
    for name in Self.inheritedVariables { inherited[name] = environment[name] }
    self.environment = inherited
  }

  package static func == (left: MetricsCommand, right: MetricsCommand) -> Bool {
    left.path == right.path && left.timeout == right.timeout
  }

  /// Returns what the program reports now; what is wrong with that is logged.
  ///
  /// The program is killed at `deadline`, by the system's clock, after ``timeout``, or when `shutdown` is requested.
  func metrics(log: Log, until deadline: BootTime, or shutdown: ShutdownSignal?) -> [CustomMetric] {
    let start = BootTime.now
    let end = min(deadline, start.advanced(by: timeout))
    // Without time, starting it would only be killing it.
    guard start < end else {
      log.warn(
        "\(path): not run, because no time was left before the deadline; the report does without its metrics")
      return []
    }
    let output: [UInt8]
    do throws(ProgramError) {
      output = try self.output(log: log, until: end, or: shutdown)
    } catch {
      if shutdown?.isRequested == true { return [] }
      if error == .timedOut, end == deadline {
        log.warn(
          "\(path): killed after \(start.duration(to: end).inWords), because the deadline left no more time; the report does "
            + "without its metrics. Make the program faster, or give the function a longer timeout.")
        return []
      }
      log.warn("\(path): \(reason(of: error) ?? "\(error)"); the report does without its metrics")
      return []
    }
    return metrics(in: output, log: log)
  }

  /// Runs the program and returns what it wrote; what it wrote to its standard error is logged however it ended.
  private func output(
    log: Log, until end: BootTime, or shutdown: ShutdownSignal?
  ) throws(ProgramError) -> [UInt8] {
    var program = Program(path, outputLimit: Self.outputLimit)
    program.environment = environment
    program.errorLimit = Self.errorLimit + Self.cutMargin
    var errors = Program.Errors()
    defer { logErrors(errors, log) }
    return try program.output(until: end, or: shutdown, errors: &errors)
  }

  /// Logs the beginning of what the program wrote to its standard error, as one line without secrets.
  private func logErrors(_ errors: Program.Errors, _ log: Log) {
    guard errors.count > 0 else { return }
    var text = String(decoding: errors.kept, as: UTF8.self)
    while text.last?.isNewline == true { text.removeLast() }
    var shown = ServerText().shown(text, limit: .max)
    if errors.count > errors.kept.count { shown = shown.dropLast(Self.cutMargin) + "…" }
    log.warn(
      "\(path) wrote \(errors.count) byte\(errors.count == 1 ? "" : "s") to its standard error: \(shown)")
  }

  /// Returns the metrics in what the program wrote; what is wrong with that is logged.
  private func metrics(in output: [UInt8], log: Log) -> [CustomMetric] {
    let parsed: [Result<CustomMetric, CustomMetricError>]
    do {
      parsed = try CustomMetric.parse(try JSONValue(parsing: output))
    } catch {
      log.warn("\(path): \(error); the report does without its metrics")
      return []
    }
    return parsed.compactMap { result in
      switch result {
      case .success(let metric): return metric
      case .failure(let error):
        log.warn("\(path): \(error); the report does without that metric")
        return nil
      }
    }
  }

  /// What the first line of the file, or the file's format, has to do with `error`; nil if nothing.
  private func reason(of error: ProgramError) -> String? {
    switch error {
    case .notStarted(.noSuchFile): reasonNotFound(path)
    // A shell and env(1) end with status 127 if a command doesn't exist.
    case .notStarted, .exited(status: 127): missingInterpreter(of: path)
    default: nil
    }
  }
}
