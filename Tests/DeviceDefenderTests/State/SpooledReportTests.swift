import DeviceDefender
import TestSupport
import Testing

@Suite struct `A spooled report` {
  private let report = SpooledReport(id: 1_700_000_000, thing: "pump-7", payload: Array(#"{"hed":1}"#.utf8))

  @Test func `is read as it was written`() throws {
    #expect(try SpooledReport.decode(report.encoded) == report)
    #expect(report.format == .json)
    let other = SpooledReport(id: .max, thing: "", payload: [0xA2])
    #expect(try SpooledReport.decode(other.encoded) == other)
    #expect(other.format == .cbor)
  }

  @Test func `is rejected if it ends at any byte, or any bit is wrong`() {
    let file = report.encoded
    for end in file.indices {
      #expect(throws: SpooledReportError.self) { try SpooledReport.decode(Array(file[..<end])) }
    }
    for index in file.indices {
      for bit in 0..<8 {
        var damaged = file
        damaged[index] ^= 1 << bit
        #expect(throws: SpooledReportError.self) { try SpooledReport.decode(damaged) }
      }
    }
    #expect(throws: SpooledReportError.damaged) { try SpooledReport.decode(file + [0]) }
  }

  @Test func `of another version is rejected as such`() {
    #expect(throws: SpooledReportError.notOfThisVersion) {
      try SpooledReport.decode(Array("DDSPOOL2".utf8) + report.encoded.dropFirst(8))
    }
  }
}
