import Platform

extension ProcRoot {
  /// Reads the UDP sockets of a network namespace into `sockets`, from `udp` and, if it exists, `udp6`.
  ///
  /// The format is that of `tcp`; `NetTCP.swift` parses it.
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
