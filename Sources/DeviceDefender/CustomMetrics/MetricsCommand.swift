package import Platform
import WireFormats

/// A program that the device's owner provides to report custom metrics (`DEFENDER_CUSTOM_METRICS_COMMAND`).
///
/// It runs for each report, without arguments and without a shell. It writes the `custom_metrics` object of a
/// report, such as `{"queue_depth":[{"number":3}]}`, to its standard output. If it fails, only its metrics
/// are missing.
package struct MetricsCommand: Equatable, Sendable {
  package static let defaultTimeout = OwnersProgram.defaultTimeout
  /// The largest output, in bytes.
  package static let outputLimit = OwnersProgram.outputLimit

  private let program: OwnersProgram

  package var path: String { program.path }
  package var timeout: Duration { program.timeout }

  /// Creates a command for the program at an absolute path.
  package init(
    path: String, timeout: Duration = defaultTimeout, environment: Environment
  ) throws(CustomMetricError) {
    guard let program = OwnersProgram(path: path, timeout: timeout, environment: environment) else {
      throw .relativePath(path)
    }
    self.program = program
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
      output = try program.output(log: log, until: end, or: shutdown)
    } catch {
      if shutdown?.isRequested == true { return [] }
      if error == .timedOut, end == deadline {
        log.warn(
          "\(path): killed after \(start.duration(to: end).inWords), because the deadline left no more time. The report omits "
            + "its metrics. Make the program faster, or give the function a longer timeout.")
        return []
      }
      log.warn("\(path): \(program.reason(of: error)). The report omits its metrics.")
      return []
    }
    return metrics(in: output, log: log)
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
}
