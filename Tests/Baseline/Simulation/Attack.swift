/// An attack on a simulated device. Its traffic adds to the device's usual one.
enum Attack: CaseIterable {
  case connections, burst, slow, slower, slowest, portScan, listening

  /// The attacks whose share found has a bound. The slower exfiltrations show the model's limit.
  static let bounded: [Attack] = [.connections, .burst, .slow, .portScan, .listening]

  var description: String {
    switch self {
    case .connections: "200 to 500 new connections"
    case .burst: "500 MB sent within one report"
    case .slow: "20 times the device's mean sent, for as long as it lasts"
    case .slower: "the same, 10 times"
    case .slowest: "the same, 5 times"
    case .portScan: "a scan of 65,535 ports within each report"
    case .listening: "30 new listening ports"
    }
  }

  /// Changes the values of the report `number` of the attack. `mean` is the mean of the device's sent bytes in one report.
  func change(_ values: inout Values, number: Int, mean: Double, strength: Int) {
    switch self {
    case .connections:
      let count = Double(strength)
      values.connections += count
      add(&values, bytesIn: 500 * count, bytesOut: 500 * count, packetsIn: 5 * count, packetsOut: 5 * count)
    case .burst:
      guard number == 0 else { return }
      add(&values, bytesIn: 4e6, bytesOut: 500e6, packetsIn: 180_000, packetsOut: 360_000)
    case .slow: exfiltrate(20 * mean, &values)
    case .slower: exfiltrate(10 * mean, &values)
    case .slowest: exfiltrate(5 * mean, &values)
    case .portScan:
      add(&values, bytesIn: 65_535 * 54, bytesOut: 65_535 * 58, packetsIn: 65_535, packetsOut: 65_535)
    case .listening: values.tcpPorts += 30
    }
  }

  /// Sends at least 250 KB in a report, because a multiple of an idle device's traffic is next to nothing.
  private func exfiltrate(_ bytes: Double, _ values: inout Values) {
    let bytes = max(bytes, 250_000)
    add(
      &values, bytesIn: bytes * 0.03, bytesOut: bytes, packetsIn: bytes / 2_800, packetsOut: bytes / 1_400)
  }

  private func add(
    _ values: inout Values, bytesIn: Double, bytesOut: Double, packetsIn: Double, packetsOut: Double
  ) {
    values.bytesIn += bytesIn
    values.bytesOut += bytesOut
    values.packetsIn += packetsIn
    values.packetsOut += packetsOut
  }
}
