import DeviceDefender
import WireFormats

extension ReportReader {
  /// Reads `{"queue_depth": [{"number": 3}]}`. Metrics that no behavior needs are skipped.
  func readCustomMetrics(_ scanner: inout some DocumentScanner, into draft: inout Draft) throws(ScanError) {
    if try scanner.kind() == .null { return try scanner.skip() }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      guard hasCustomMetrics else {
        try scanner.skip()
        continue
      }
      let name = try scanner.string(key)
      if let slot = slot(ofCustom: name) {
        draft.datapoints[slot] = try customValue(&scanner)
      } else if table.includesAllCustomMetrics {
        guard let value = try customValue(&scanner) else { continue }
        draft.otherMetrics.append(CustomDatapoint(name: name, datapoint: value))
      } else {
        try scanner.skip()
      }
    }
  }

  private func customValue(_ scanner: inout some DocumentScanner) throws(ScanError) -> Datapoint? {
    var result: Datapoint?
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) {
      var map = try scanner.beginMap()
      while let type = try scanner.nextKey(of: &map) {
        if scanner.matches(type, "number") {
          result = .number(try real(&scanner))
        } else if scanner.matches(type, "number_list") {
          result = .numbers(try elements(&scanner, real))
        } else if scanner.matches(type, "string_list") {
          result = .strings(try elements(&scanner, string))
        } else if scanner.matches(type, "ip_list") {
          var addresses = AddressList()
          for address in try elements(&scanner, address) { addresses.append(address) }
          result = .addresses(addresses)
        } else {
          try scanner.skip()
        }
      }
    }
    return result
  }

  private func elements<Scanner: DocumentScanner, Element>(
    _ scanner: inout Scanner, _ element: (inout Scanner) throws(ScanError) -> Element
  ) throws(ScanError) -> [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(DeviceDefender.Collector.defaultListSize)
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) { elements.append(try element(&scanner)) }
    return elements
  }

  private func real<Scanner: DocumentScanner>(_ scanner: inout Scanner) throws(ScanError) -> Double {
    switch try scanner.number() {
    case .integer(let value): return Double(value)
    case .real(let value) where value.isFinite: return value
    case .real: throw scanner.malformed("a number is beyond the range of a double")
    }
  }

  private func string<Scanner: DocumentScanner>(_ scanner: inout Scanner) throws(ScanError) -> String {
    try scanner.string(scanner.text())
  }

  private func address<Scanner: DocumentScanner>(_ scanner: inout Scanner) throws(ScanError) -> IPAddress {
    let text = try scanner.string(scanner.text())
    guard let address = IPAddress(parsing: text) else {
      throw scanner.malformed("'\(text)' isn't a valid IP address")
    }
    return address
  }
}
