import Platform

/// The numbers of established and of listening TCP sockets, and a sample of each.
struct TCPSockets: ~Copyable {
  private(set) var established: Reservoir<SocketRecord>
  private(set) var listening: Reservoir<SocketRecord>
  private var seen = IdentitySet()

  init(limit: Int, generator: inout SeededGenerator) {
    established = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
    listening = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
  }

  mutating func reset() {
    established.reset()
    listening.reset()
    seen.removeAll()
  }

  /// Counts a socket once, if it is established or listening. A socket with a port of 0 isn't counted.
  ///
  /// `record` is evaluated only if the socket enters the sample.
  @inline(__always)
  mutating func append(_ socket: SocketHead, record: @autoclosure () -> SocketRecord) {
    switch socket.state {
    case SocketRecord.State.established:
      guard socket.localPort != 0, socket.remotePort != 0, seen.insert(socket.identity) else { return }
      established.append(record())
    case SocketRecord.State.listening:
      guard socket.localPort != 0, seen.insert(socket.identity) else { return }
      listening.append(record())
    default:
      break
    }
  }
}

/// The number of bound UDP sockets, and a sample of them. Connected sockets and client ports count.
struct UDPSockets: ~Copyable {
  private(set) var bound: Reservoir<SocketRecord>
  private var seen = IdentitySet()

  init(limit: Int, generator: inout SeededGenerator) {
    bound = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
  }

  mutating func reset() {
    bound.reset()
    seen.removeAll()
  }

  /// Counts a socket once. A socket with a port of 0 isn't counted.
  @inline(__always)
  mutating func append(_ socket: SocketHead, record: @autoclosure () -> SocketRecord) {
    guard socket.localPort != 0, seen.insert(socket.identity) else { return }
    bound.append(record())
  }
}
