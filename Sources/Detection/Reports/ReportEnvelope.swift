import WireFormats

/// What an AWS IoT rule puts beside a report: the thing, the topic, the time, and the device's payload in Base64.
///
/// Either the report is this document itself, as `SELECT *, topic(2) AS thing, timestamp() AS timestamp` makes it, or the
/// document wraps it: `{"payload":"…","thing":…}` with `SELECT encode(*, 'base64') AS payload`. `cbor` is another name of `payload`.
package struct ReportEnvelope: Equatable, Sendable {
  package private(set) var thing: String?
  package private(set) var topic: String?
  /// The time at which AWS IoT received the report, in milliseconds.
  package private(set) var timestamp: UInt64?
  /// The report as the device sent it, JSON or CBOR; nil if the document itself is the report.
  package private(set) var payload: [UInt8]?

  /// Parses a JSON document. The members of the report itself are only skipped.
  package init(parsing bytes: [UInt8]) throws(ReportError) {
    var scanner = JSONScanner(bytes)
    do throws(ScanError) {
      try read(&scanner)
      if scanner.skipBlanks() { throw scanner.malformed("unexpected data after the report") }
    } catch {
      throw .syntax(error)
    }
  }

  private mutating func read(_ scanner: inout JSONScanner) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      guard try scanner.kind() != .null else {
        try scanner.skip()
        continue
      }
      if scanner.matches(key, "thing") {
        // Parsers differ in which of two members they take, and a device must not choose whose report it sends.
        guard thing == nil else { throw scanner.malformed("thing occurs twice") }
        thing = try scanner.string(scanner.text())
      } else if scanner.matches(key, "topic") {
        topic = try scanner.string(scanner.text())
      } else if scanner.matches(key, "timestamp") {
        guard case .integer(let value) = try scanner.number() else {
          throw scanner.malformed("timestamp isn't a number of milliseconds")
        }
        timestamp = value
      } else if scanner.matches(key, "payload", or: "cbor") {
        guard payload == nil else { throw scanner.malformed("payload occurs twice") }
        guard let bytes = try scanner.base64(scanner.text()) else {
          throw scanner.malformed("payload isn't Base64")
        }
        payload = bytes
      } else {
        try scanner.skip()
      }
    }
  }

  /// The thing's name: the member `thing`, otherwise the one in a topic of Device Defender, `$aws/things/NAME/…`.
  package var thingName: String? {
    if let thing { return thing }
    guard let levels = topic?.split(separator: "/", omittingEmptySubsequences: false) else { return nil }
    // A topic of Basic Ingest begins with $aws/rules/RULE/.
    let own = levels.starts(with: ["$aws", "rules"]) ? levels.dropFirst(3) : levels[...]
    guard own.starts(with: ["$aws", "things"]) else { return nil }
    return own.dropFirst(2).first.map { String($0) }
  }
}

/// Reads single reports for the behaviors of an evaluator.
package struct ReportDecoder: Sendable {
  private let table: MetricTable

  package init(_ table: MetricTable) { self.table = table }

  /// Reads a report in JSON, or in CBOR if its first byte isn't that of a JSON object.
  ///
  /// `time` is in milliseconds since the epoch. Without it, a timestamp in the report or its id sets the time.
  package func observation(
    _ bytes: [UInt8], thing: String, time: UInt64?
  ) throws(ReportError) -> Observation {
    let reader = ReportReader(table, thing: thing, time: time)
    if let first = bytes.first, first >= 0x80, first != 0xEF {
      var scanner = CBORScanner(bytes, from: 0)
      return try reader.read(&scanner)
    }
    var scanner = JSONScanner(bytes)
    return try reader.read(&scanner)
  }
}
