import DeviceDefender
import Platform
import WireFormats

/// The table of `collect --watch`: rates with their history, connections and ports, as lines of text.
struct WatchView {
  private let interval: Double
  private let isUnicode: Bool
  private var sample: Sample?
  private var time = WallTime(secondsSinceEpoch: 0)
  private var bytesIn = History()
  private var bytesOut = History()
  private var connections = History()

  init(interval: Double, isUnicode: Bool) {
    self.interval = interval
    self.isUnicode = isUnicode
  }

  /// Adds a sample.
  mutating func add(_ sample: Sample, at time: WallTime) {
    self.sample = sample
    self.time = time
    if let rates = sample.rates {
      bytesIn.append(rates.bytesIn)
      bytesOut.append(rates.bytesOut)
    }
    if let total = sample.report.establishedConnections?.total { connections.append(Double(total)) }
  }

  /// Returns the lines to draw, cut to the size of the terminal.
  func lines(for size: TerminalSize, notice: String?) -> [String] {
    guard let sample else { return [] }
    let wide = size.columns >= 76
    var lines = head(sample, size.columns)
    let room = max(size.rows - lines.count - (notice == nil ? 0 : 1), 0)
    lines += wide ? columns(sample.report, room, size.columns) : list(sample.report, room)
    if let notice {
      lines += [String](repeating: "", count: max(size.rows - 1 - lines.count, 0)) + [notice]
    }
    return lines.prefix(size.rows).map { String(escapingControlCharacters($0).prefix(size.columns)) }
  }

  private func head(_ sample: Sample, _ width: Int) -> [String] {
    let history = max(min(width - 42, History.length), 0)
    func rate(_ name: String, _ bytes: Double?, _ packets: Double?, _ values: History) -> String {
      let numbers = [
        bytes.map(byteRate) ?? "-", packets.map { "\(shortNumber($0.rounded())) packets/s" } ?? "",
      ]
      let line = name.padded(12) + numbers[0].padded(13) + numbers[1].padded(16)
      return line + values.sparkline(width: history, isUnicode: isUnicode)
    }
    let total = sample.report.establishedConnections?.total
    let connected = "connections".padded(12) + (total.map { String($0) } ?? "?").padded(29)
    let custom = sample.report.customMetrics.compactMap { metric -> String? in
      guard case .number(let value) = metric.value else { return nil }
      return "\(metric.name) \(shortNumber(value))"
    }
    let date = CivilTime(time).extendedFormat
    return [
      "defender collect   \(date)   every \(shortNumber(interval)) s   q quits",
      rate("in", sample.rates?.bytesIn, sample.rates?.packetsIn, bytesIn),
      rate("out", sample.rates?.bytesOut, sample.rates?.packetsOut, bytesOut),
      connected + connections.sparkline(width: history, isUnicode: isUnicode),
      custom.joined(separator: "   "),
    ] + (custom.isEmpty ? [] : [""])
  }

  /// Returns connections, TCP ports and UDP ports side by side.
  private func columns(_ report: Report, _ rows: Int, _ width: Int) -> [String] {
    let portWidth = 19
    let connectionWidth = width - 2 * portWidth
    let blocks: [(lines: [String], width: Int)] = [
      (table("CONNECTIONS", report.establishedConnections, rows, lines), connectionWidth),
      (table("TCP PORTS", report.listeningTCPPorts, rows, lines), portWidth),
      (table("UDP PORTS", report.listeningUDPPorts, rows, lines), portWidth),
    ]
    let count = blocks.map(\.lines.count).max() ?? 0
    return (0..<count).map { row in
      blocks.map { block in
        String((row < block.lines.count ? block.lines[row] : "").prefix(block.width - 1)).padded(block.width)
      }.joined()
    }
  }

  /// Returns the ports in one line for each protocol, and the connections below.
  private func list(_ report: Report, _ rows: Int) -> [String] {
    func ports(_ name: String, _ listing: Listing<ListeningPort>?) -> String {
      guard let listing else { return "\(name) ?" }
      let numbers = Set(listing.sample.map(\.port)).sorted().map { String($0) }.joined(separator: " ")
      return "\(name) \(listing.total): \(numbers)"
    }
    return [ports("TCP PORTS", report.listeningTCPPorts), ports("UDP PORTS", report.listeningUDPPorts)]
      + table("CONNECTIONS", report.establishedConnections, rows - 2, lines)
  }

  /// Returns a heading with the total, and as many entries as fit.
  private func table<Entry>(
    _ name: String, _ listing: Listing<Entry>?, _ rows: Int, _ lines: ([Entry]) -> [String]
  ) -> [String] {
    guard rows > 0 else { return [] }
    guard let listing else { return ["\(name) ?"] }
    let heading = "\(name) \(listing.total)"
    let entries = lines(listing.sample)
    guard listing.total > rows - 1 else { return [heading] + entries }
    let shown = entries.prefix(max(rows - 2, 0))
    return [heading] + shown + (rows > 1 ? ["and \(listing.total - shown.count) more"] : [])
  }

  private func lines(_ connections: [EstablishedConnection]) -> [String] {
    let ordered = connections.sorted {
      ($0.remoteAddress, $0.localPort) < ($1.remoteAddress, $1.localPort)
    }
    return ordered.map { connection in
      let local = "\(connection.localInterface?.string ?? "?"):\(connection.localPort)"
      return "\(local.padded(17)) \(connection.remoteAddress)"
    }
  }

  private func lines(_ ports: [ListeningPort]) -> [String] {
    ports.sorted { $0.port < $1.port }.map { port in
      "\(String(port.port).padded(6))\(port.interface?.string ?? "?")"
    }
  }
}

/// The last values of a series, for a diagram.
struct History {
  static let length = 60
  private var values: [Double] = []

  mutating func append(_ value: Double) {
    values.append(value)
    if values.count > Self.length { values.removeFirst() }
  }

  /// Returns the values as blocks of different heights, the latest on the right. The largest value has the
  /// full height.
  func sparkline(width: Int, isUnicode: Bool) -> String {
    let blocks = Array(isUnicode ? "▁▂▃▄▅▆▇█" : "_.-:=+*#")
    let largest = values.max() ?? 0
    let characters = values.suffix(width).map { value in
      largest > 0 ? blocks[min(Int(value / largest * 8), 7)] : blocks[0]
    }
    return String(characters)
  }
}

extension String {
  /// Returns the text padded with trailing blanks to `width` characters.
  fileprivate func padded(_ width: Int) -> String {
    self + String(repeating: " ", count: max(width - count, 0))
  }
}
