package import Platform
import WireFormats

/// A program of the device's owner that reports custom metrics (`DEFENDER_CUSTOM_METRICS_COMMAND`).
///
/// It runs for each report, without arguments and without a shell. It writes the `custom_metrics` object of a
/// report, such as `{"queue_depth":[{"number":3}]}`, to its standard output. If it fails, only its metrics
/// are missing.
package struct MetricsCommand: Equatable, Sendable {
  package static let defaultTimeout = Duration.seconds(10)
  /// The largest output, in bytes.
  package static let outputLimit = 65_536
  /// The number of bytes of its standard error that are logged for each report.
  private static let errorLimit = 4_096
  /// The number of characters before a cut that aren't logged: a secret that is cut off may be too short to
  /// be recognized.
  private static let cutMargin = 64
  /// The variables that it inherits if they are set. None of them holds a secret.
  private static let inheritedVariables = [
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "AWS_IOT_THING_NAME", "PROCFS_PATH",
  ]

  package let path: String
  package let timeout: Duration
  private let environment: [String: String]

  /// Creates a command for the program at an absolute path.
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

  /// Runs the program and returns its metrics. Problems are logged.
  ///
  /// Kills the program at `deadline`, after ``timeout``, or when `shutdown` is requested, whichever comes
  /// first.
  func metrics(log: Log, until deadline: BootTime, or shutdown: ShutdownSignal?) -> [CustomMetric] {
    let start = BootTime.now
    let end = min(deadline, start.advanced(by: timeout))
    // A program started now would be killed at once.
    guard start < end else {
      log.warn(
        "\(path): not run, because no time was left before the deadline. The report omits its metrics.")
      return []
    }
    let output: [UInt8]
    do throws(ProgramError) {
      output = try self.output(log: log, until: end, or: shutdown)
    } catch {
      if shutdown?.isRequested == true { return [] }
      if error == .timedOut, end == deadline {
        log.warn(
          "\(path): killed after \(start.duration(to: end).inWords), because the deadline left no more time. The report omits "
            + "its metrics. Make the program faster, or give the function a longer timeout.")
        return []
      }
      log.warn("\(path): \(reason(of: error) ?? "\(error)"). The report omits its metrics.")
      return []
    }
    return metrics(in: output, log: log)
  }

  /// Runs the program and returns its standard output. Logs its standard error, even if the program fails.
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

  /// Logs the beginning of the program's standard error as one line, with secrets removed.
  private func logErrors(_ errors: Program.Errors, _ log: Log) {
    guard errors.count > 0 else { return }
    var text = String(decoding: errors.kept, as: UTF8.self)
    while text.last?.isNewline == true { text.removeLast() }
    var shown = ServerText().shown(text, limit: .max)
    if errors.count > errors.kept.count { shown = shown.dropLast(Self.cutMargin) + "…" }
    log.warn(
      "\(path) wrote \(errors.count) byte\(errors.count == 1 ? "" : "s") to its standard error: \(shown)")
  }

  /// Parses the metrics in the program's output, and logs those that are malformed.
  private func metrics(in output: [UInt8], log: Log) -> [CustomMetric] {
    let parsed: [Result<CustomMetric, CustomMetricError>]
    do {
      parsed = try CustomMetric.parse(try JSONValue(parsing: output))
    } catch {
      log.warn("\(path): \(error). The report omits its metrics.")
      return []
    }
    return parsed.compactMap { result in
      switch result {
      case .success(let metric): return metric
      case .failure(let error):
        log.warn("\(path): \(error). The report omits this metric.")
        return nil
      }
    }
  }

  /// Returns why the kernel couldn't run the file, judging by its first line or its format; nil if they don't
  /// explain `error`.
  private func reason(of error: ProgramError) -> String? {
    switch error {
    case .notStarted(.noSuchFile): reasonNotFound(path)
    // A shell and env(1) exit with status 127 if a command doesn't exist.
    case .notStarted, .exited(status: 127): missingInterpreter(of: path)
    default: nil
    }
  }
}
