/// A socket as the kernel tells of it, in procfs or over netlink.
struct SocketRecord: Equatable {
  /// States of a TCP socket (include/net/tcp_states.h) that are reported.
  enum State {
    static let established: UInt8 = 0x01
    static let listening: UInt8 = 0x0A
  }

  var local: IPEndpoint
  var remote: IPEndpoint
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
}
