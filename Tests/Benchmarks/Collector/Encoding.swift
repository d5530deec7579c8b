import CollectorReference
import DeviceDefender
import Glibc
import WireFormats

private let addresses: [UInt32] = (0..<50).map { 0xCB00_7101 &+ $0 &* 0x0001_0307 }

/// Returns a snapshot with 50 entries in each list.
func sampleSnapshot(entries: Int = 50) -> MetricsSnapshot {
  var snapshot = MetricsSnapshot()
  let ports = (0..<entries).map { (index: Int) -> ListeningPort in
    ListeningPort(interface: index % 2 == 0 ? "0.0.0.0" : "eth0", port: UInt16(1_000 + index * 977))
  }
  snapshot.listeningTCPPorts = .success(Listing(total: 100, sample: ports))
  snapshot.listeningUDPPorts = .success(Listing(total: 100, sample: ports))
  snapshot.establishedConnections = .success(
    Listing(
      total: 100,
      sample: (0..<entries).map { index in
        EstablishedConnection(
          localInterface: "eth0", localPort: UInt16(1_000 + index * 977),
          remoteAddress: IPEndpoint(address: IPAddress(v4: addresses[index]), port: UInt16(443 + index)))
      }))
  let traffic = Traffic(bytesIn: 123_456_789, bytesOut: 98_765_432, packetsIn: 1_234_567, packetsOut: 765_432)
  snapshot.networkCounters = .success(
    NetworkCounters(interfaces: [InterfaceCounters(name: "eth0", index: 2, traffic: traffic)]))
  return snapshot
}

/// Returns a report with 50 entries in each list.
func sampleReport() -> Report {
  let snapshot = sampleSnapshot()
  var empty = MetricsSnapshot()
  empty.networkCounters = .success(NetworkCounters())
  return Report(id: 1_530_304_554, snapshot: snapshot, baseline: Baseline(empty))
}

/// Returns the same report for the reference, which points to memory that is never freed.
private func referenceReport() -> reference_report {
  let ports = UnsafeMutablePointer<reference_port>.allocate(capacity: 50)
  let connections = UnsafeMutablePointer<reference_connection>.allocate(capacity: 50)
  for index in 0..<50 {
    unsafe ports[index] = reference_port()
    unsafe copy(index % 2 == 0 ? "0.0.0.0" : "eth0", to: &ports[index].interface)
    unsafe ports[index].port = UInt16(1_000 + index * 977)
    unsafe connections[index] = reference_connection()
    unsafe copy("eth0", to: &connections[index].interface)
    unsafe connections[index].local_port = UInt16(1_000 + index * 977)
    unsafe connections[index].remote_address = addresses[index]
    unsafe connections[index].remote_port = UInt16(443 + index)
  }
  return unsafe reference_report(
    id: 1_530_304_554, tcp_ports: ports, udp_ports: ports, connections: connections, tcp_count: 50,
    udp_count: 50,
    connection_count: 50, total: 100, bytes_in: 123_456_789, bytes_out: 98_765_432, packets_in: 1_234_567,
    packets_out: 765_432)
}

private func copy<Buffer>(_ text: String, to buffer: inout Buffer) {
  unsafe withUnsafeMutableBytes(of: &buffer) { bytes in unsafe bytes.copyBytes(from: text.utf8) }
}

func benchmarkEncoding(rounds: Int) throws {
  let report = sampleReport()
  var reference = unsafe referenceReport()
  var buffer = [UInt8](repeating: 0, count: 65_536)
  for format in ReportFormat.allCases {
    func encode(_ reference: inout reference_report) -> Int {
      switch format {
      case .json: unsafe reference_encode_json(&reference, &buffer)
      case .cbor: unsafe reference_encode_cbor(&reference, &buffer)
      }
    }
    let size = unsafe encode(&reference)
    guard Array(buffer[0..<size]) == report.encoded(as: format, names: .long) else {
      throw BenchmarkError.differs("the two write different \(format.rawValue)")
    }
    var swift: [Double] = []
    var plain: [Double] = []
    let repetitions = 200
    for _ in 0..<rounds {
      var start = cpuMicroseconds()
      for _ in 0..<repetitions { unsafe sink &+= report.encoded(as: format, names: .long).count }
      swift.append((cpuMicroseconds() - start) / Double(repetitions))
      start = cpuMicroseconds()
      for _ in 0..<repetitions { unsafe sink &+= encode(&reference) }
      plain.append((cpuMicroseconds() - start) / Double(repetitions))
    }
    print(
      """
      {"format":"\(format.rawValue)","bytes":\(size),"swift_us":\(median(swift)),\
      "reference_us":\(median(plain)),"ratio":\(median(swift) / median(plain))}
      """)
  }
}
