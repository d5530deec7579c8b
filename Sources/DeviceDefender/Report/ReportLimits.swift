import WireFormats

/// The limits of a report's size.
package struct ReportLimits: Equatable, Sendable {
  /// The largest message that AWS IoT Core accepts.
  package static let defaultReportBytes = AWSIoTQuotas.publishPayloadBytes

  /// The largest number of entries in each list; `total` isn't affected.
  package var maximumListSize = Collector.defaultListSize
  /// The largest size of the encoded report, in bytes.
  package var maximumReportBytes = defaultReportBytes

  package init(
    maximumListSize: Int = Collector.defaultListSize, maximumReportBytes: Int = defaultReportBytes
  ) {
    self.maximumListSize = maximumListSize
    self.maximumReportBytes = maximumReportBytes
  }
}
