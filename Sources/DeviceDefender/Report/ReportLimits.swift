/// How large a report may get.
package struct ReportLimits: Equatable, Sendable {
  /// The largest message that AWS IoT Core takes (AWS IoT Core quotas, "Publish payload size"), in bytes.
  package static let defaultReportBytes = 131_072

  /// How many entries are listed of each list; `total` stays what it is.
  package var maximumListSize = Collector.defaultListSize
  /// How many bytes the encoded report may have.
  package var maximumReportBytes = defaultReportBytes

  package init(
    maximumListSize: Int = Collector.defaultListSize, maximumReportBytes: Int = defaultReportBytes
  ) {
    self.maximumListSize = maximumListSize
    self.maximumReportBytes = maximumReportBytes
  }
}
