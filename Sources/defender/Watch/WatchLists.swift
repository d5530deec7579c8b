import Detection
import DeviceDefender
import WireFormats

/// The lists of connections and ports on the screen of `collect --watch`.
struct WatchLists {
  private let report: Report
  private let alarms: ActiveAlarms
  /// Whether security profiles are evaluated, so that entries have a column for the mark of an alarm.
  private let marksAlarms: Bool
  private let isUnicode: Bool

  init(_ report: Report, _ alarms: ActiveAlarms, marksAlarms: Bool, isUnicode: Bool) {
    self.report = report
    self.alarms = alarms
    self.marksAlarms = marksAlarms
    self.isUnicode = isUnicode
  }

  /// A list with its total, its column heads and its entries, those that violate a behavior first.
  private struct Block {
    let title: String
    let total: Int?
    let heads: String
    let entries: [StyledLine]
  }

  /// The narrowest terminal with the three lists side by side.
  private static let wide = 76
  private static let portWidth = 19
  private static let connectionWidth = 38

  /// Returns at most `rows` lines.
  func lines(rows: Int, columns: Int) -> [StyledLine] {
    guard rows > 0 else { return [] }
    guard columns >= Self.wide else { return narrow(rows) }
    // Wide terminals have two columns of ports.
    let ports = Self.portWidth * (columns >= 120 ? 2 : 1)
    let blocks = [
      table(connections, rows, columns - 2 * ports, entryWidth: Self.connectionWidth),
      table(tcpPorts, rows, ports, entryWidth: Self.portWidth),
      table(udpPorts, rows, ports, entryWidth: Self.portWidth),
    ]
    let widths = [columns - 2 * ports, ports, ports]
    return (0..<(blocks.map(\.count).max() ?? 0)).map { row in
      Self.sideBySide(
        zip(blocks, widths).map { block, width in
          (row < block.count ? block[row] : StyledLine(), width)
        })
    }
  }

  private static func sideBySide(_ cells: [(line: StyledLine, width: Int)]) -> StyledLine {
    var line = StyledLine()
    var column = 0
    for (cell, width) in cells {
      line.pad(to: column)
      line.append(cell.cut(to: width - 1))
      column += width
    }
    return line
  }

  /// Returns the ports in one line for each protocol, and the connections below.
  private func narrow(_ rows: Int) -> [StyledLine] {
    func ports(_ block: Block, _ listing: Listing<ListeningPort>?) -> StyledLine {
      var line = title(block)
      let numbers = Set(listing?.sample.map(\.port) ?? []).sorted().map { String($0) }
      line.append(" \(numbers.joined(separator: " "))")
      return line
    }
    return [ports(tcpPorts, report.listeningTCPPorts), ports(udpPorts, report.listeningUDPPorts)]
      + table(connections, rows - 2, Self.connectionWidth, entryWidth: Self.connectionWidth)
  }

  private func title(_ block: Block) -> StyledLine {
    StyledLine("\(block.title) \(block.total.map { String($0) } ?? "?")", .bold)
  }

  /// Returns a title with the total, column heads, and as many entries as fit into `rows` lines of `width` columns, in several
  /// columns if the entries don't fit into one.
  private func table(_ block: Block, _ rows: Int, _ width: Int, entryWidth: Int) -> [StyledLine] {
    guard rows > 0 else { return [] }
    guard let total = block.total, total > 0 else { return [title(block)] }
    let heads = StyledLine(marksAlarms ? "  \(block.heads)" : block.heads, .dim)
    let height = max(rows - 2, 0)
    let longest = max(block.entries.map(\.count).max() ?? 0, heads.count) + 2
    let most = max(width / max(longest, entryWidth), 1)
    let columns = min(most, max((total + max(height, 1) - 1) / max(height, 1), 1))
    var cells = Array(block.entries.prefix(height * columns))
    if total > cells.count, rows > 1 {
      // The text "and N more" replaces an entry, or the heads if there is no room for an entry.
      if height > 0, cells.count == height * columns { cells.removeLast() }
      cells.append(StyledLine("and \(total - cells.count) more", .dim))
    }
    let cellWidth = width / columns
    let body = (0..<min(max(height, 1), cells.count)).map { row in
      Self.sideBySide(
        (0..<columns).compactMap { column in
          let index = column * max(height, 1) + row
          return index < cells.count ? (cells[index], cellWidth) : nil
        })
    }
    let head = Self.sideBySide((0..<columns).map { _ in (heads, cellWidth) })
    return Array(([title(block)] + (height > 0 ? [head] : []) + body).prefix(rows))
  }

  private func entry(_ text: String, isOffending: Bool) -> StyledLine {
    guard marksAlarms else { return StyledLine(text) }
    return StyledLine("\(isOffending ? "!" : " ") \(text)", isOffending ? .bold : .plain)
  }

  private var connections: Block {
    let offending = alarms.destinations
    let ordered = (report.establishedConnections?.sample ?? []).map { connection in
      (isOffending: offending.contains(connection.remoteAddress.address.unmapped), connection: connection)
    }.sorted {
      ($0.isOffending ? 0 : 1, $0.connection.remoteAddress, $0.connection.localPort)
        < ($1.isOffending ? 0 : 1, $1.connection.remoteAddress, $1.connection.localPort)
    }
    return Block(
      title: "CONNECTIONS", total: report.establishedConnections?.total, heads: "\("LOCAL".padded(16))REMOTE",
      entries: ordered.map { isOffending, connection in
        let local = "\(connection.localInterface?.string ?? "?"):\(connection.localPort)"
        return entry("\(local.padded(15)) \(connection.remoteAddress)", isOffending: isOffending)
      })
  }

  private var tcpPorts: Block {
    ports("TCP PORTS", report.listeningTCPPorts, alarms.ports(.listeningTCPPorts))
  }

  private var udpPorts: Block {
    ports("UDP PORTS", report.listeningUDPPorts, alarms.ports(.listeningUDPPorts))
  }

  private func ports(_ title: String, _ listing: Listing<ListeningPort>?, _ offending: Set<UInt16>) -> Block {
    let ordered = (listing?.sample ?? []).sorted {
      (offending.contains($0.port) ? 0 : 1, $0.port) < (offending.contains($1.port) ? 0 : 1, $1.port)
    }
    return Block(
      title: title, total: listing?.total, heads: "\("PORT".padded(6))INTERFACE",
      entries: ordered.map { port in
        entry(
          "\(String(port.port).padded(6))\(port.interface?.string ?? "?")",
          isOffending: offending.contains(port.port))
      })
  }
}
