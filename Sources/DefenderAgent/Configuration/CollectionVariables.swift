import DeviceDefender
import Glibc
import Platform

extension ConfigurationReader {
  /// Reads where metrics come from, custom ones included.
  mutating func readCollection(into configuration: inout Configuration) {
    if let path = absolutePath("PROCFS_PATH") { configuration.procfsPath = path }
    configuration.customMetrics = customMetrics()
    configuration.metricsCommand = metricsCommand()
  }

  private mutating func customMetrics() -> [SystemMetric] {
    guard let text = environment.value("DEFENDER_CUSTOM_METRICS") else { return [] }
    do throws(CustomMetricError) {
      return try SystemMetric.list(parsing: text)
    } catch {
      note("DEFENDER_CUSTOM_METRICS", "is '\(text)': \(error)")
      return []
    }
  }

  private mutating func metricsCommand() -> MetricsCommand? {
    guard let path = environment.value("DEFENDER_CUSTOM_METRICS_COMMAND") else { return nil }
    do throws(CustomMetricError) {
      let command = try MetricsCommand(path: path, environment: environment)
      if unsafe access(path, X_OK) != 0 {
        note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)', which can't be run: \(Errno.current)")
      } else if let reason = missingInterpreter(of: path) {
        note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)', which can't be run: \(reason)")
      }
      return command
    } catch {
      note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)': \(error)")
      return nil
    }
  }
}
