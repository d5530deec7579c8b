import Platform

extension ProcRoot {
  /// Reads the networks that interfaces are in from `route`.
  func readIPv4Networks(into names: inout InterfaceNames, directory: String, log: Log) {
    forEachAddressLine(of: "\(directory)/route", log) { names.insert(routeLine: $0) }
  }
}

extension InterfaceNames {
  /// Reads the network that an interface is in from a line of `route`: interface, destination, gateway, flags, three
  /// numbers, mask; returns whether it was as it should be.
  mutating func insert(routeLine line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    if begins(line, with: "Iface") { return true }
    let name = columns.column(of: line)
    guard
      !name.isEmpty, let destination = columns.eightHexadecimalDigits(in: line),
      columns.endColumn(in: line),
      let gateway = columns.eightHexadecimalDigits(in: line), columns.endColumn(in: line),
      let flags = columns.fourHexadecimalDigits(in: line), columns.endColumn(in: line)
    else { return false }
    for _ in 0..<3 { columns.skipColumn(in: line) }
    guard let mask = columns.eightHexadecimalDigits(in: line) else { return false }
    // Up, without a gateway, and a network rather than everything.
    if gateway == 0, flags & 3 == 1, mask != 0 {
      insert(network: UInt32(bigEndian: destination), mask: UInt32(bigEndian: mask), interface: name)
    }
    return true
  }
}
