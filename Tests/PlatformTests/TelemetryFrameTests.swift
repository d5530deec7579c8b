import Glibc
import Testing
import WireFormats

@testable import Platform

@Suite struct `A telemetry frame` {
  @Test(arguments: [
    (Log.Level.trace, Log.Format.json, "a55a0006"), (.debug, .json, "a55a000a"), (.info, .json, "a55a000e"),
    (.warn, .json, "a55a0012"), (.error, .json, "a55a0016"), (.fatal, .json, "a55a001a"),
    (.info, .text, "a55a000f"), (.fatal, .text, "a55a001b"),
  ])
  func `frames a line with its level, format, length and time`(
    level: Log.Level, format: Log.Format, word: String
  ) {
    let time = WallTime(nanosecondsSinceEpoch: 0x0102_0304_0506 * 1_000 + 999)
    let frame = telemetryFrame(Array("a\nb".utf8), level: level, format: format, at: time)
    #expect(hex(frame) == word + "00000003" + "0000010203040506" + hex("a\nb".utf8))
  }

  @Test func `writes frames to the descriptor that the environment names`() throws {
    var ends: [Int32] = [-1, -1]
    try #require(unsafe pipe(&ends) == 0)
    let reader = FileDescriptor(owning: ends[0])
    let writer = FileDescriptor(owning: ends[1])
    let log = Log(
      Environment(["_LAMBDA_TELEMETRY_LOG_FD": "\(writer.rawValue)", "AWS_LAMBDA_LOG_FORMAT": "JSON"]))
    log.error("broken")
    var bytes: [UInt8] = []
    _ = try reader.read(into: &bytes, limit: 1_000)
    #expect(hex(bytes.prefix(4)) == "a55a0016")
    #expect(Int(bytes[7]) == bytes.count - 16)
    let line = try JSONValue(parsing: Array(bytes.dropFirst(16)))
    #expect(line["message"] == .string("broken"))
    #expect(bytes.last == UInt8(ascii: "}"))
  }

  @Test(arguments: ["", "x", "-1", "99999", "3.0"])
  func `writes to standard error if the environment names no open descriptor`(value: String) {
    let log = Log(Environment(["_LAMBDA_TELEMETRY_LOG_FD": value, "AWS_LAMBDA_LOG_LEVEL": "FATAL"]))
    #expect(log.descriptor == STDERR_FILENO)
    #expect(!log.isFramed)
  }
}
