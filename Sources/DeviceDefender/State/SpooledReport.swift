import WireFormats

/// A report that couldn't be published: the contents of a file in the spool.
package struct SpooledReport: Equatable, Sendable {
  package let id: UInt64
  /// The thing that the report describes; empty if the topic doesn't need its name.
  package let thing: String
  /// The encoded report.
  package let payload: [UInt8]

  package init(id: UInt64, thing: String, payload: [UInt8]) {
    self.id = id
    self.thing = thing
    self.payload = payload
  }

  /// The format of the report: JSON begins with a brace.
  package var format: ReportFormat { payload.first == UInt8(ascii: "{") ? .json : .cbor }
}

/// Why the contents of a file aren't a spooled report.
package enum SpooledReportError: Error, Equatable, Sendable, CustomStringConvertible {
  case notOfThisVersion
  case damaged

  package var description: String {
    switch self {
    case .notOfThisVersion: "it isn't a report, or its format has another version"
    case .damaged: "it is truncated or damaged"
    }
  }
}

extension SpooledReport {
  /// The beginning of each file. The digit is the version of the format.
  private static let signature = Array("DDSPOOL1".utf8)
  private static let headSize = 22

  /// The contents of the file: the signature, the CRC-32 of everything after the CRC, the id in eight bytes, the length of
  /// the thing's name in two bytes, that name, and the payload up to the end. Numbers are big-endian.
  package var encoded: [UInt8] {
    var content: [UInt8] = []
    appendBigEndian(id, to: &content)
    appendBigEndian(UInt16(clamping: thing.utf8.count), to: &content)
    content += thing.utf8
    content += payload
    var file = Self.signature
    appendBigEndian(crc32(content), to: &file)
    return file + content
  }

  /// Parses the contents of a file.
  package static func decode(_ file: [UInt8]) throws(SpooledReportError) -> SpooledReport {
    guard file.starts(with: signature) else { throw .notOfThisVersion }
    guard file.count >= headSize, UInt64(crc32(file[12...])) == number(file[8..<12]) else { throw .damaged }
    let end = headSize + Int(number(file[20..<22]))
    guard end <= file.count, let thing = String(validating: file[headSize..<end], as: UTF8.self) else {
      throw .damaged
    }
    return SpooledReport(id: number(file[12..<20]), thing: thing, payload: Array(file[end...]))
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }
}
