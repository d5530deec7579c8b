import Glibc
import Testing
import WireFormats

@testable import Platform

@Suite struct `The log of a daemon` {
  enum Kind: CaseIterable { case socket, pipe }

  /// A descriptor whose written bytes the test reads.
  private struct Stream: ~Copyable {
    let reader: FileDescriptor
    let writer: FileDescriptor

    init(_ kind: Kind) throws {
      var ends: [Int32] = [-1, -1]
      let status =
        switch kind {
        case .socket: unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        case .pipe: unsafe Glibc.pipe(&ends)
        }
      try #require(status == 0)
      reader = FileDescriptor(owning: ends[0])
      writer = FileDescriptor(owning: ends[1])
    }

    /// The device and inode of the writing end, as systemd writes them into `JOURNAL_STREAM`.
    var name: String {
      var status = stat()
      guard unsafe fstat(writer.rawValue, &status) == 0 else { return "" }
      return "\(status.st_dev):\(status.st_ino)"
    }

    /// Returns the lines that `body` logs.
    func lines(
      _ level: Log.Level, _ format: Log.Format, journal: String?, _ body: (Log) -> Void
    ) throws -> [String] {
      let log = Log(level: level, format: format, descriptor: writer.rawValue, isFramed: false)
      log.becomeDaemonLog(Environment(journal.map { ["JOURNAL_STREAM": $0] } ?? [:]))
      body(log)
      // So that the read below ends even if the log wrote nothing.
      log.error("end")
      var bytes: [UInt8] = []
      while !String(decoding: bytes, as: UTF8.self).contains("end") {
        try #require(try reader.read(into: &bytes, limit: 65_536) > 0)
      }
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).dropLast()
    }
  }

  private static func everyLevel(_ log: Log) {
    log.debug("one")
    log.info("two")
    log.warn("three")
    log.error("four")
  }

  @Test(arguments: Kind.allCases, [Log.Format.text, .json])
  func `begins each line with its priority if the descriptor is the journal's stream`(
    kind: Kind, format: Log.Format
  ) throws {
    let stream = try Stream(kind)
    let lines = try stream.lines(.trace, format, journal: stream.name, Self.everyLevel)
    let start = format == .text ? "[" : "{"
    #expect(lines.map { String($0.prefix(4)) } == ["<7>", "<6>", "<4>", "<3>"].map { $0 + start })
  }

  @Test(arguments: Kind.allCases, [nil, "", "1", "a:b", "other", "swapped"])
  func `writes no priority if JOURNAL_STREAM names another stream`(kind: Kind, name: String?) throws {
    let stream = try Stream(kind)
    let other = try Stream(kind)
    let parts = stream.name.split(separator: ":")
    let journal =
      switch name {
      case "other": other.name
      case "swapped": "\(parts[1]):\(parts[0])"
      default: name
      }
    let lines = try stream.lines(.trace, .text, journal: journal, Self.everyLevel)
    #expect(lines.map { $0.prefix { $0 != "\t" } } == ["[DEBUG]", "[INFO]", "[WARN]", "[ERROR]"])
  }

  @Test func `writes the same warning and the same error once, and every event`() throws {
    let stream = try Stream(.pipe)
    let lines = try stream.lines(.info, .text, journal: nil) { log in
      for _ in 0..<3 { Self.everyLevel(log) }
      log.warn("another")
    }
    #expect(lines.map { $0.text } == ["two", "three", "four", "two", "two", "another"])
  }

  @Test func `writes each occurrence at the level debug`() throws {
    let stream = try Stream(.pipe)
    let lines = try stream.lines(.debug, .text, journal: nil) { log in
      for _ in 0..<2 { log.warn("three") }
    }
    #expect(lines.count == 2)
  }
}

extension String {
  /// The message of a log line: what follows the last tab.
  fileprivate var text: String { split(separator: "\t").last.map(String.init) ?? "" }
}
