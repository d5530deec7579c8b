import DeviceDefender
import WireFormats

extension ConfigurationReader {
  /// Reads the format of reports and their limits.
  mutating func readReports(into configuration: inout Configuration) {
    if let format = choice("DEFENDER_FORMAT", byRawValue: ReportFormat.self) { configuration.format = format }
    if let names = choice("DEFENDER_NAMES", byRawValue: ReportNames.self) { configuration.names = names }
    if let size = wholeNumber("DEFENDER_MAX_LIST_SIZE", 0...100_000) {
      configuration.limits.maximumListSize = size
    }
    configuration.givenMaximumReportBytes = wholeNumber(
      "DEFENDER_MAX_REPORT_BYTES", 512...AWSIoTQuotas.publishPayloadBytes)
    if let bytes = configuration.givenMaximumReportBytes { configuration.limits.maximumReportBytes = bytes }
  }
}
