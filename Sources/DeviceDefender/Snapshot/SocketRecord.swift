/// A socket as read from procfs or over netlink.
struct SocketRecord: Equatable {
  /// The states of TCP sockets that are reported (include/net/tcp_states.h).
  enum State {
    static let established: UInt8 = 0x01
    static let listening: UInt8 = 0x0A
  }

  var local: IPEndpoint
  var remote: IPEndpoint
  var state: UInt8
  /// The index of the interface that the socket is bound to, or that its link-local address belongs to; 0 if
  /// unknown.
  var interfaceIndex: UInt32 = 0
  /// The cookie or inode number, which distinguishes the socket from all others of its protocol; 0 if
  /// unknown.
  var identity: UInt64 = 0
}

/// The fields that determine whether a socket is counted.
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
