import Platform

extension ProcRoot {
  /// Reads the TCP sockets of a network namespace into `sockets`: `tcp`, and `tcp6` where there is one.
  func readTCPSockets(
    in directory: String, into sockets: inout TCPSockets, with reader: inout LineReader, log: Log
  ) throws(CollectionError) {
    let families: [(IPAddress.Family, String)] = [(.v4, "tcp"), (.v6, "tcp6")]
    for (family, name) in families {
      try readSockets(in: "\(directory)/\(name)", family, with: &reader, log) {
        sockets.append($0.head, record: $0)
      }
    }
  }

  /// Reads the UDP sockets of a network namespace into `sockets`: `udp`, and `udp6` where there is one.
  func readUDPSockets(
    in directory: String, into sockets: inout UDPSockets, with reader: inout LineReader, log: Log
  ) throws(CollectionError) {
    let families: [(IPAddress.Family, String)] = [(.v4, "udp"), (.v6, "udp6")]
    for (family, name) in families {
      try readSockets(in: "\(directory)/\(name)", family, with: &reader, log) {
        sockets.append($0.head, record: $0)
      }
    }
  }

  /// Hands each socket in the file to `body`.
  ///
  /// A line that isn't a socket's is left out and logged, one log line a file. A file in which nothing is as it
  /// should be, not even the heading, is an error: none isn't the same as unknown.
  private func readSockets(
    in path: String, _ family: IPAddress.Family, with reader: inout LineReader, _ log: Log,
    _ body: (SocketRecord) -> Void
  ) throws(CollectionError) {
    guard let file = try open(path) else {
      // A kernel without IPv6 has no tcp6 and udp6; every kernel has tcp and udp.
      if family == .v6 { return }
      throw .unreadable(path: "\(self.path)/\(path)", .noSuchFile)
    }
    var parser = SocketFileParser(family: family)
    do throws(Errno) {
      try reader.forEachLine(of: file) { line, number, flaw in
        if let socket = parser.parse(line, number: number, flaw: flaw) { body(socket) }
      }
    } catch {
      throw .unreadable(path: "\(self.path)/\(path)", error)
    }
    if !parser.isPlausible, parser.skipped.count == 0 {
      // No sockets, as far as anybody can tell; but the kernel would have written its heading.
      log.warn("\(self.path)/\(path) is empty, without its heading; it counts as no sockets")
    }
    try parser.skipped.report(path: "\(self.path)/\(path)", isAllThereIs: !parser.isPlausible, to: log)
  }
}

/// Goes through the lines of one of the four socket files.
struct SocketFileParser {
  let family: IPAddress.Family
  private(set) var skipped = SkippedLines()
  /// Whether anything in the file looked as it should.
  private(set) var isPlausible = false

  init(family: IPAddress.Family) {
    self.family = family
  }

  mutating func parse(_ line: Span<UInt8>, number: Int, flaw: LineError?) -> SocketRecord? {
    do throws(LineError) {
      if let flaw, !isBlank(line) { throw flaw }
      let socket = try SocketRecord(line: line, family: family)
      isPlausible = true
      return socket
    } catch {
      if SocketRecord.isHeading(line) {
        isPlausible = true
      } else if !isBlank(line) {
        skipped.append(line: number, reason: error, text: line)
      }
      return nil
    }
  }
}

extension SkippedLines {
  /// Logs the lines that were left out; throws where nothing else was in the file.
  func report(path: String, isAllThereIs: Bool, to log: Log) throws(CollectionError) {
    if isAllThereIs, let error = error(path: path) { throw error }
    if let summary = summary(path: path) { log.warn(summary) }
  }
}

/// Whether the line has nothing but blanks.
func isBlank(_ line: Span<UInt8>) -> Bool {
  var columns = ColumnReader()
  columns.skipBlanks(in: line)
  return columns.isAtEnd(of: line)
}
