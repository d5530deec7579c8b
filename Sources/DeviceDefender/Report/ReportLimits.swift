import WireFormats

/// How large a report may get.
package struct ReportLimits: Equatable, Sendable {
  /// The largest message that AWS IoT Core accepts.
  package static let defaultReportBytes = AWSIoTQuotas.publishPayloadBytes

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
