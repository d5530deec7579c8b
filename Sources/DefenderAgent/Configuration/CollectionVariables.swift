import DeviceDefender
import Glibc
import Platform

extension ConfigurationReader {
  /// Reads the sources of the metrics, including the custom metrics.
  mutating func readCollection(into configuration: inout Configuration) {
    if let path = absolutePath(.procfs) { configuration.procfsPath = path }
    configuration.customMetrics = customMetrics()
    configuration.metricsCommand = metricsCommand()
  }

  private mutating func customMetrics() -> [SystemMetric] {
    guard let text = environment.value(.customMetrics) else { return [] }
    do throws(CustomMetricError) {
      return try SystemMetric.list(parsing: text)
    } catch {
      note(.customMetrics, "is '\(text)': \(error)")
      return []
    }
  }

  private mutating func metricsCommand() -> MetricsCommand? {
    guard let path = environment.value(.customMetricsCommand) else { return nil }
    do throws(CustomMetricError) {
      let command = try MetricsCommand(path: path, environment: environment)
      if unsafe access(path, X_OK) != 0 {
        note(.customMetricsCommand, "is '\(path)', which can't be executed: \(Errno.current)")
      } else if let reason = missingInterpreter(of: path) {
        note(.customMetricsCommand, "is '\(path)', which can't be executed: \(reason)")
      }
      return command
    } catch {
      note(.customMetricsCommand, "is '\(path)': \(error)")
      return nil
    }
  }
}
