import Platform

extension ProcRoot {
  /// Reads the directly connected networks from `route`.
  func readIPv4Networks(into names: inout InterfaceNames, directory: String, log: Log) {
    forEachAddressLine(of: "\(directory)/route", log) { names.insert(routeLine: $0) }
  }
}

extension InterfaceNames {
  /// Parses a line of `route`: interface, destination, gateway, flags, three numbers, mask. Returns whether
  /// the line is well-formed.
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
    // Only routes that are up, without a gateway, and not the default route.
    if gateway == 0, flags & 3 == 1, mask != 0 {
      insert(network: UInt32(bigEndian: destination), mask: UInt32(bigEndian: mask), interface: name)
    }
    return true
  }
}
