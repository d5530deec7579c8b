/// A socket as the kernel tells of it, in procfs or over netlink.
struct SocketRecord: Equatable {
  /// States of a TCP socket (include/net/tcp_states.h) that are reported.
  enum State {
    static let established: UInt8 = 0x01
    static let listening: UInt8 = 0x0A
  }

  var local: Endpoint
  var remote: Endpoint
  var state: UInt8
  /// The interface that the socket is bound to, or that its link-local address belongs to; 0 where unknown.
  var interfaceIndex: UInt32 = 0
  /// What tells the socket from every other one of its kind: its cookie, or its inode number; 0 where unknown.
  var identity: UInt64 = 0
}

/// What decides whether a socket counts.
struct SocketHead {
  var state: UInt8
  var localPort: UInt16
  var remotePort: UInt16
  /// As in ``SocketRecord/identity``.
  var identity: UInt64
}

extension SocketRecord {
  var head: SocketHead {
    SocketHead(state: state, localPort: local.port, remotePort: remote.port, identity: identity)
  }

  /// Reads a line of `net/tcp`, `net/tcp6`, `net/udp` or `net/udp6` (proc_pid_net(5)).
  ///
  /// The columns are slot, local address, remote address, state and, six columns on, the inode number. A line that
  /// ends after the state is taken as it is, without an inode number.
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
    local = Endpoint(address: localAddress, port: localPort)
    remote = Endpoint(address: remoteAddress, port: remotePort)
    self.state = state
    // Queues, timer, retransmissions, user and timeout stand before the inode number.
    if !columns.skipQueuesAndTimer(in: line) { for _ in 0..<3 { columns.skipColumn(in: line) } }
    for _ in 0..<2 { columns.skipColumn(in: line) }
    if let inode = columns.decimal(in: line), columns.endColumn(in: line) { identity = inode }
  }

  /// Whether `line` is the heading of one of these files.
  static func isHeading(_ line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    columns.skipBlanks(in: line)
    return begins(line, with: "sl ", at: columns.position)
  }
}

extension IPAddress {
  /// Reads an address of `net/tcp` and the like, and the ':' after it.
  ///
  /// The kernel prints each 32-bit word of the address, which is in network order in memory, as a number of the
  /// host's order (net/ipv4/tcp_ipv4.c, get_tcp4_sock): 127.0.0.1 is `0100007F` on a little-endian host.
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
