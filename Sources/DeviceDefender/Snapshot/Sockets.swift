import Platform

/// The numbers of established and of listening TCP sockets, and a sample of each.
struct TCPSockets: ~Copyable {
  private(set) var established: Reservoir<SocketRecord>
  private(set) var listening: Reservoir<SocketRecord>
  /// All remote addresses and listening ports, if they are kept.
  private(set) var destinations: AddressList?
  private(set) var allListening: [UInt16]?
  var keepsDestinations = false
  var keepsListening = false
  private var seen = IdentitySet()

  init(limit: Int, generator: inout SeededGenerator) {
    established = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
    listening = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
  }

  mutating func reset() {
    established.reset()
    listening.reset()
    destinations = keepsDestinations ? AddressList() : nil
    allListening = keepsListening ? [] : nil
    seen.removeAll()
  }

  /// Removes the complete sets after they were copied to the snapshot.
  mutating func freeCompleteSets() { (destinations, allListening) = (nil, nil) }

  /// Counts a socket once, if it is established or listening. A socket with a port of 0 isn't counted.
  ///
  /// `record` is evaluated only if the socket enters the sample, or if all destinations are kept.
  @inline(__always)
  mutating func append(_ socket: SocketHead, record: @autoclosure () -> SocketRecord) {
    switch socket.state {
    case SocketRecord.State.established:
      guard socket.localPort != 0, socket.remotePort != 0, seen.insert(socket.identity) else { return }
      if keepsDestinations { destinations?.append(record().remote.address) }
      established.append(record())
    case SocketRecord.State.listening:
      guard socket.localPort != 0, seen.insert(socket.identity) else { return }
      if keepsListening { allListening?.append(socket.localPort) }
      listening.append(record())
    default:
      break
    }
  }
}

/// The number of bound UDP sockets, and a sample of them. Connected sockets and client ports count.
struct UDPSockets: ~Copyable {
  private(set) var bound: Reservoir<SocketRecord>
  /// The ports of all bound sockets, if they are kept.
  private(set) var allBound: [UInt16]?
  var keepsBound = false
  private var seen = IdentitySet()

  init(limit: Int, generator: inout SeededGenerator) {
    bound = Reservoir(limit: limit, generator: SeededGenerator(seed: generator.next()))
  }

  mutating func reset() {
    bound.reset()
    allBound = keepsBound ? [] : nil
    seen.removeAll()
  }

  /// Removes the complete set after it was copied to the snapshot.
  mutating func freeCompleteSets() { allBound = nil }

  /// Counts a socket once. A socket with a port of 0 isn't counted.
  @inline(__always)
  mutating func append(_ socket: SocketHead, record: @autoclosure () -> SocketRecord) {
    guard socket.localPort != 0, seen.insert(socket.identity) else { return }
    if keepsBound { allBound?.append(socket.localPort) }
    bound.append(record())
  }
}
