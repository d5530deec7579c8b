import Platform

extension ProcRoot {
  /// Reads the addresses in `if_inet6`; a missing file counts as empty.
  func readIPv6Addresses(into names: inout InterfaceNames, directory: String, log: Log) {
    forEachAddressLine(of: "\(directory)/if_inet6", log) { names.insert(ipv6AddressLine: $0) }
  }
}

extension InterfaceNames {
  /// Parses a line of `if_inet6`: address, interface index, prefix length, scope, flags, name. Returns
  /// whether the line is well-formed.
  ///
  /// The address is in network order, unlike in `tcp6`.
  mutating func insert(ipv6AddressLine line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    guard
      let first = columns.eightHexadecimalDigits(in: line),
      let second = columns.eightHexadecimalDigits(in: line),
      let third = columns.eightHexadecimalDigits(in: line),
      let fourth = columns.eightHexadecimalDigits(in: line),
      columns.endColumn(in: line)
    else { return false }
    for _ in 0..<4 { columns.skipColumn(in: line) }
    let name = columns.column(of: line)
    if name.isEmpty { return false }
    insert(IPAddress(v6Words: first, second, third, fourth), interface: name)
    return true
  }
}
