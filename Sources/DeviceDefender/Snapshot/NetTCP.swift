import Platform

extension ProcRoot {
  /// Reads the TCP sockets of a network namespace into `sockets`, from `tcp` and, if it exists, `tcp6`.
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

  /// Passes each socket in the file to `body`.
  ///
  /// Malformed lines are skipped and logged, with one log line for each file. A file in which no line is
  /// well-formed, not even the heading, is an error, because the number of sockets is unknown and not zero.
  func readSockets(
    in path: String, _ family: IPAddress.Family, with reader: inout LineReader, _ log: Log,
    _ body: (SocketRecord) -> Void
  ) throws(CollectionError) {
    guard let file = try open(path) else {
      // A kernel without IPv6 has no tcp6 and no udp6; every kernel has tcp and udp.
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
      // The file shows no sockets, but the kernel would have written the heading.
      log.warn(
        "\(self.path)/\(path) is empty, without even a heading line. The report counts no sockets from this file."
      )
    }
    try parser.skipped.report(path: "\(self.path)/\(path)", hasOnlySkippedLines: !parser.isPlausible, to: log)
  }
}

/// Parses the lines of one of the four socket files.
struct SocketFileParser {
  let family: IPAddress.Family
  private(set) var skipped = SkippedLines()
  /// Whether the file has at least one well-formed line, which may be the heading.
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

extension SocketRecord {
  /// Parses a line of `net/tcp`, `net/tcp6`, `net/udp` or `net/udp6` (proc_pid_net(5)).
  ///
  /// The columns are slot, local address, remote address, state and, six columns later, the inode number. A
  /// line that ends after the state is accepted, without an inode number.
  init(line: Span<UInt8>, family: IPAddress.Family) throws(LineError) {
    var columns = ColumnReader()
    columns.skipBlanks(in: line)
    guard columns.skipDigits(in: line), columns.consume(UInt8(ascii: ":"), in: line),
      columns.endColumn(in: line)
    else { throw .slot }
    guard let localAddress = IPAddress(hexadecimal: &columns, in: line, family) else { throw .localAddress }
    guard let localPort = columns.fourHexadecimalDigits(in: line), columns.endColumn(in: line)
    else { throw .localPort }
    guard let remoteAddress = IPAddress(hexadecimal: &columns, in: line, family) else { throw .remoteAddress }
    guard let remotePort = columns.fourHexadecimalDigits(in: line), columns.endColumn(in: line)
    else { throw .remotePort }
    guard let state = columns.twoHexadecimalDigits(in: line), columns.endColumn(in: line)
    else { throw .state }
    local = IPEndpoint(address: localAddress, port: localPort)
    remote = IPEndpoint(address: remoteAddress, port: remotePort)
    self.state = state
    // Skips the columns before the inode number: queues, timer, retransmissions, user and timeout.
    if !columns.skipQueuesAndTimer(in: line) { for _ in 0..<3 { columns.skipColumn(in: line) } }
    for _ in 0..<2 { columns.skipColumn(in: line) }
    if let inode = columns.decimal(in: line), columns.endColumn(in: line) { identity = inode }
  }

  /// Returns whether `line` is the heading of one of these files.
  static func isHeading(_ line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    columns.skipBlanks(in: line)
    return begins(line, with: "sl ", at: columns.position)
  }
}

extension IPAddress {
  /// Parses an address of a socket file, and the ':' after it.
  ///
  /// In memory, the address is in network order. The kernel prints each of its 32-bit words as a number in
  /// host order (net/ipv4/tcp_ipv4.c, get_tcp4_sock): 127.0.0.1 is `0100007F` on a little-endian host.
  @inline(__always)
  fileprivate init?(hexadecimal columns: inout ColumnReader, in line: Span<UInt8>, _ family: Family) {
    guard let first = columns.eightHexadecimalDigits(in: line) else { return nil }
    switch family {
    case .v4:
      self.init(v4: UInt32(bigEndian: first))
    case .v6:
      guard
        let second = columns.eightHexadecimalDigits(in: line),
        let third = columns.eightHexadecimalDigits(in: line),
        let fourth = columns.eightHexadecimalDigits(in: line)
      else { return nil }
      self.init(
        v6Words: UInt32(bigEndian: first), UInt32(bigEndian: second), UInt32(bigEndian: third),
        UInt32(bigEndian: fourth))
    }
    guard columns.consume(UInt8(ascii: ":"), in: line) else { return nil }
  }
}
