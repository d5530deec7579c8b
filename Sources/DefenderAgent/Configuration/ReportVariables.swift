import DeviceDefender
import WireFormats

extension ConfigurationReader {
  /// Reads the format, the names and the limits of reports.
  mutating func readReports(into configuration: inout Configuration) {
    if let format = choice(.format, byRawValue: ReportFormat.self) { configuration.format = format }
    if let names = choice(.names, byRawValue: ReportNames.self) { configuration.names = names }
    if let size = wholeNumber(.maximumListSize, 0...100_000) {
      configuration.limits.maximumListSize = size
    }
    configuration.givenMaximumReportBytes = wholeNumber(
      .maximumReportBytes, 512...AWSIoTQuotas.publishPayloadBytes)
    if let bytes = configuration.givenMaximumReportBytes { configuration.limits.maximumReportBytes = bytes }
  }
}
