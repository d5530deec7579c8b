import DeviceDefender
package import WireFormats

/// Why a report isn't evaluated.
package enum ReportError: Error, Equatable, Sendable, CustomStringConvertible {
  case syntax(ScanError)
  case content(String)

  package var description: String {
    switch self {
    case .syntax(.truncated): "it is truncated"
    case .syntax(.malformed(_, let reason)): "it is malformed: \(reason)"
    case .content(let reason): reason
    }
  }
}

/// Turns a report in JSON or CBOR, with long or short names, into an observation.
///
/// AWS IoT Developer Guide, "Device-side metrics", "Sending metrics from devices". Every block is optional. A wrapper
/// `{"thing":…,"timestamp":ms,"report":{…}}` may name the thing and the time.
struct ReportReader {
  /// The largest time that is accepted, the last second of 9999-12-31, so that times never overflow.
  static let lastSecond: UInt64 = 253_402_300_799

  let table: MetricTable
  /// Whether any behavior needs a custom metric.
  let hasCustomMetrics: Bool
  /// The thing of all reports; nil if wrappers name it.
  private let thing: String?
  /// The time of all reports, in milliseconds; nil if wrappers or the reports' ids name it.
  private let time: UInt64?

  init(_ table: MetricTable, thing: String?, time: UInt64? = nil) {
    self.table = table
    hasCustomMetrics = !table.customNames.isEmpty || table.includesAllCustomMetrics
    self.thing = thing
    self.time = time
  }

  func slot(ofCustom name: String) -> Int? { table.slot(ofCustom: name) }

  /// The parts of a report that have been read so far.
  struct Draft {
    var thing: String?
    var reportID: UInt64?
    var timestamp: UInt64?
    var datapoints: [Datapoint?]
    var otherMetrics: [CustomDatapoint] = []
  }

  func read(_ scanner: inout some DocumentScanner) throws(ReportError) -> Observation {
    var draft = Draft(datapoints: Array(repeating: nil, count: table.slotCount))
    do throws(ScanError) {
      try readDocument(&scanner, into: &draft, isWrapped: false)
    } catch {
      throw .syntax(error)
    }
    guard let id = draft.reportID else { throw .content("it has no report_id") }
    var time = self.time ?? draft.timestamp
    if time == nil, id <= Self.lastSecond { time = id * 1_000 }
    guard let time else {
      throw .content("its report_id \(id) isn't a time in seconds, and there is no timestamp beside it")
    }
    guard time / 1_000 <= Self.lastSecond else {
      throw .content("its timestamp \(time) is after the year 9999")
    }
    let name = thing ?? draft.thing ?? "local"
    var observation = Observation(thing: name, reportID: id, time: time, datapoints: draft.datapoints)
    observation.otherMetrics = draft.otherMetrics
    return observation
  }

  private func readDocument<Scanner: DocumentScanner>(
    _ scanner: inout Scanner, into draft: inout Draft, isWrapped: Bool
  ) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "header", or: "hed") {
        try readHeader(&scanner, into: &draft)
      } else if scanner.matches(key, "metrics", or: "met") {
        try readMetrics(&scanner, into: &draft)
      } else if scanner.matches(key, "custom_metrics", or: "cmet") {
        try readCustomMetrics(&scanner, into: &draft)
      } else if !isWrapped, scanner.matches(key, "report") {
        try readDocument(&scanner, into: &draft, isWrapped: true)
      } else if !isWrapped, scanner.matches(key, "thing") {
        let name = try scanner.string(scanner.text())
        guard SecurityProfile.isName(name) else {
          throw scanner.malformed("'\(name)' isn't a valid thing name")
        }
        draft.thing = name
      } else if !isWrapped, scanner.matches(key, "timestamp") {
        draft.timestamp = try integer(&scanner, "timestamp")
      } else {
        try scanner.skip()
      }
    }
  }

  private func readHeader(_ scanner: inout some DocumentScanner, into draft: inout Draft) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "report_id", or: "rid") {
        draft.reportID = try integer(&scanner, "report_id")
      } else if scanner.matches(key, "version", or: "v"), try scanner.kind() == .text {
        let version = try scanner.text()
        guard !version.hasEscapes, version.end - version.start >= 2,
          scanner.bytes[version.start] == UInt8(ascii: "1"),
          scanner.bytes[version.start + 1] == UInt8(ascii: ".")
        else { throw scanner.malformed("its version is \(try scanner.string(version)), not 1.0") }
      } else {
        try scanner.skip()
      }
    }
  }

  /// Returns an integer. `most` is the largest valid one, for the message about a number that isn't an integer.
  private func integer(
    _ scanner: inout some DocumentScanner, _ name: String, to most: UInt64 = .max
  ) throws(ScanError) -> UInt64 {
    guard case .integer(let value) = try scanner.number() else {
      throw scanner.malformed("\(name) isn't an integer from 0 to \(most)")
    }
    return value
  }

  /// Returns the integer, or nil for null.
  private func count(_ scanner: inout some DocumentScanner, _ name: String) throws(ScanError) -> Datapoint? {
    if try isNull(&scanner) { return nil }
    return .count(try integer(&scanner, name))
  }

  /// Skips a null and returns true; false for anything else, which stays unread.
  private func isNull(_ scanner: inout some DocumentScanner) throws(ScanError) -> Bool {
    guard try scanner.kind() == .null else { return false }
    try scanner.skip()
    return true
  }

  private func readMetrics(_ scanner: inout some DocumentScanner, into draft: inout Draft) throws(ScanError) {
    if try isNull(&scanner) { return }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "tcp_connections", or: "tc") {
        try readConnections(&scanner, into: &draft)
      } else if scanner.matches(key, "listening_tcp_ports", or: "tp") {
        try readPorts(&scanner, .listeningTCPPorts, .listeningTCPPortCount, into: &draft)
      } else if scanner.matches(key, "listening_udp_ports", or: "up") {
        try readPorts(&scanner, .listeningUDPPorts, .listeningUDPPortCount, into: &draft)
      } else if scanner.matches(key, "network_stats", or: "ns") {
        try readTraffic(&scanner, into: &draft)
      } else {
        try scanner.skip()
      }
    }
  }

  private func readTraffic(_ scanner: inout some DocumentScanner, into draft: inout Draft) throws(ScanError) {
    if try isNull(&scanner) { return }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      let metric: DeviceMetric
      if scanner.matches(key, "bytes_in", or: "bi") {
        metric = .bytesIn
      } else if scanner.matches(key, "bytes_out", or: "bo") {
        metric = .bytesOut
      } else if scanner.matches(key, "packets_in", or: "pi") {
        metric = .packetsIn
      } else if scanner.matches(key, "packets_out", or: "po") {
        metric = .packetsOut
      } else {
        try scanner.skip()
        continue
      }
      draft.datapoints[metric.slot] = try count(&scanner, metric.rawValue)
    }
  }

  private func readPorts(
    _ scanner: inout some DocumentScanner, _ list: DeviceMetric, _ total: DeviceMetric,
    into draft: inout Draft
  ) throws(ScanError) {
    if try isNull(&scanner) { return }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "total", or: "t") {
        draft.datapoints[total.slot] = try count(&scanner, "total")
      } else if table.needs(list), scanner.matches(key, "ports", or: "pts"), try !isNull(&scanner) {
        draft.datapoints[list.slot] = .ports(try ports(&scanner))
      } else {
        try scanner.skip()
      }
    }
  }

  private func ports(_ scanner: inout some DocumentScanner) throws(ScanError) -> [UInt16] {
    var ports: [UInt16] = []
    ports.reserveCapacity(DeviceDefender.Collector.defaultListSize)
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) {
      var map = try scanner.beginMap()
      var port: UInt16?
      while let key = try scanner.nextKey(of: &map) {
        guard scanner.matches(key, "port", or: "pt") else {
          try scanner.skip()
          continue
        }
        let number = try integer(&scanner, "port", to: UInt64(UInt16.max))
        guard let value = UInt16(exactly: number) else {
          throw scanner.malformed("\(number) isn't a valid port")
        }
        port = value
      }
      guard let port else { throw scanner.malformed("an entry of a port list has no port") }
      ports.append(port)
    }
    return ports
  }

  private func readConnections(
    _ scanner: inout some DocumentScanner, into draft: inout Draft
  ) throws(ScanError) {
    if try isNull(&scanner) { return }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      guard scanner.matches(key, "established_connections", or: "ec"), try !isNull(&scanner) else {
        try scanner.skip()
        continue
      }
      var inner = try scanner.beginMap()
      while let key = try scanner.nextKey(of: &inner) {
        if scanner.matches(key, "total", or: "t") {
          draft.datapoints[DeviceMetric.establishedConnectionCount.slot] = try count(&scanner, "total")
        } else if table.needs(.destinations), scanner.matches(key, "connections", or: "cs"),
          try !isNull(&scanner)
        {
          draft.datapoints[DeviceMetric.destinations.slot] = .addresses(try destinations(&scanner))
        } else {
          try scanner.skip()
        }
      }
    }
  }

  private func destinations(_ scanner: inout some DocumentScanner) throws(ScanError) -> AddressList {
    var addresses = AddressList()
    addresses.reserveCapacity(DeviceDefender.Collector.defaultListSize)
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) {
      var map = try scanner.beginMap()
      var isFound = false
      while let key = try scanner.nextKey(of: &map) {
        guard scanner.matches(key, "remote_addr", or: "rad") else {
          try scanner.skip()
          continue
        }
        let text = try scanner.text()
        if let number = v4Number(scanner.bytes, text) {
          addresses.append(v4: number)
        } else {
          addresses.append(try address(scanner.string(text), in: scanner))
        }
        isFound = true
      }
      guard isFound else { throw scanner.malformed("an entry of the connections has no remote_addr") }
    }
    return addresses
  }

  /// Parses `[2001:db8::1]:443`, an address without brackets, or one without a port.
  private func address(_ text: String, in scanner: some DocumentScanner) throws(ScanError) -> IPAddress {
    var host = Substring(text)
    if host.hasPrefix("["), let end = host.lastIndex(of: "]") {
      host = host[host.index(after: host.startIndex)..<end]
    } else if let address = IPAddress(parsing: text), address.family == .v4 {
      return address
    } else if let colon = host.lastIndex(of: ":") {
      // The last part is the port, as the Python agent writes it.
      host = host[..<colon]
    }
    // The scope of a link-local address, such as %eth0, names an interface of the device.
    let plain = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).first ?? host
    guard let address = IPAddress(parsing: String(plain)) else {
      throw scanner.malformed("'\(text)' isn't a valid remote address")
    }
    return address
  }

  /// Parses `192.0.2.1:443` without making a string; nil for anything else.
  private func v4Number(_ bytes: [UInt8], _ text: TextRange) -> UInt32? {
    var number = UInt32(0)
    var octet = UInt32(0)
    var digits = 0
    var dots = 0
    var index = text.start
    while index < text.end {
      let byte = bytes[index]
      index += 1
      if case let digit = byte &- UInt8(ascii: "0"), digit < 10 {
        // inet_pton rejects leading zeros, because some programs read them as octal.
        guard digits == 0 || octet != 0 else { return nil }
        octet = octet * 10 + UInt32(digit)
        digits += 1
        guard octet <= 255 else { return nil }
        continue
      }
      guard digits > 0 else { return nil }
      number = number << 8 | octet
      (octet, digits) = (0, 0)
      if byte == UInt8(ascii: "."), dots < 3 {
        dots += 1
      } else if byte == UInt8(ascii: ":"), dots == 3 {
        return isPort(bytes, from: index, to: text.end) ? number : nil
      } else {
        return nil
      }
    }
    return nil
  }

  private func isPort(_ bytes: [UInt8], from start: Int, to end: Int) -> Bool {
    guard (1...5).contains(end - start) else { return false }
    for index in start..<end where bytes[index] &- UInt8(ascii: "0") > 9 { return false }
    return true
  }
}
