import Platform

extension ProcRoot {
  /// Returns the counters of every interface of the network namespace, including loopback.
  ///
  /// Reads the file `dev` in `directory`.
  func networkCounters(
    in directory: String, with reader: inout LineReader, log: Log
  ) throws(CollectionError) -> NetworkCounters {
    let path = "\(directory)/dev"
    guard let file = try open(path) else {
      throw .unreadable(path: "\(self.path)/\(path)", .noSuchFile)
    }
    var parser = NetworkCountersParser()
    do throws(Errno) {
      try reader.forEachLine(of: file) { line, number, flaw in
        parser.parse(line, number: number, flaw: flaw)
      }
    } catch {
      throw .unreadable(path: "\(self.path)/\(path)", error)
    }
    try parser.skipped.report(path: "\(self.path)/\(path)", hasOnlySkippedLines: !parser.isPlausible, to: log)
    // Every namespace has a loopback interface, so an empty file is a failure. Accepting its zeros would
    // distort later deltas.
    guard parser.isPlausible else {
      throw .malformed(path: "\(self.path)/\(path)", line: 1, reason: "the file is empty", text: "")
    }
    return parser.counters
  }
}

/// Parses the lines of `net/dev`.
struct NetworkCountersParser {
  private(set) var counters = NetworkCounters()
  private(set) var skipped = SkippedLines()
  private(set) var isPlausible = false

  mutating func parse(_ line: Span<UInt8>, number: Int, flaw: LineError?) {
    do throws(LineError) {
      if let flaw, !isBlank(line) { throw flaw }
      counters.interfaces.append(try InterfaceCounters(line: line))
      isPlausible = true
    } catch {
      if InterfaceCounters.isHeading(line) {
        isPlausible = true
      } else if !isBlank(line) {
        counters.isPartial = true
        skipped.append(line: number, reason: error, text: line)
      }
    }
  }
}

extension InterfaceCounters {
  /// Parses a line of `net/dev` (proc_pid_net(5)): the name, ':', 8 receive counters, 8 transmit counters.
  ///
  /// The name ends at the last colon, because an alias contains one (`eth0:1:`). A blank after the colon is
  /// optional.
  init(line: Span<UInt8>) throws(LineError) {
    var columns = ColumnReader()
    columns.skipBlanks(in: line)
    let start = columns.position
    var colon = line.count - 1
    while colon > start, line[colon] != UInt8(ascii: ":") { colon -= 1 }
    guard colon > start else { throw .interfaceName }
    var name: [UInt8] = []
    while columns.position < colon {
      let byte = line[columns.position]
      guard byte > 0x20, byte != 0x7F, columns.consume(byte, in: line) else { throw .interfaceName }
      name.append(byte)
    }
    self.name = String(decoding: name, as: UTF8.self)
    _ = columns.consume(UInt8(ascii: ":"), in: line)
    columns.skipBlanks(in: line)
    traffic = Traffic()
    for column in 0..<16 {
      guard let value = columns.decimal(in: line), columns.endColumn(in: line) else { throw .counters }
      switch column {
      case 0: traffic.bytesIn = value
      case 1: traffic.packetsIn = value
      case 8: traffic.bytesOut = value
      case 9: traffic.packetsOut = value
      default: break
      }
    }
  }

  /// Returns whether `line` is one of the two heading lines, `Inter-|` and ` face |`.
  static func isHeading(_ line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    columns.skipBlanks(in: line)
    let start = columns.position
    return begins(line, with: "Inter-|", at: start) || begins(line, with: "face |", at: start)
  }
}
