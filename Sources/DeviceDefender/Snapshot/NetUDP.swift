import Platform

extension ProcRoot {
  /// Reads the UDP sockets of a network namespace into `sockets`: `udp`, and `udp6` where there is one.
  ///
  /// The lines are those of `tcp`: `NetTCP.swift` reads them.
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
}
