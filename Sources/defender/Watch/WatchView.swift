import Detection
import DeviceDefender
import Platform

/// The screen of `collect --watch`: a table of metrics with graphs and alarms, and below it connections and ports.
struct WatchView {
  private let interval: Double
  private let isUnicode: Bool
  /// The units of custom metrics, by name.
  private let units: [String: String]
  private var sample: Sample?
  private var time = WallTime(secondsSinceEpoch: 0)
  private var histories: [String: History] = [:]
  private var alarms = ActiveAlarms()

  init(interval: Double, isUnicode: Bool, units: [String: String] = [:]) {
    self.interval = interval
    self.isUnicode = isUnicode
    self.units = units
  }

  /// Adds a sample.
  mutating func add(_ sample: Sample, at time: WallTime) {
    self.sample = sample
    self.time = time
    alarms.apply(sample.events)
    var values = histories.mapValues { _ in Double?.none }
    for row in MetricRow.rows(of: sample, units: units) { values[row.name] = .some(row.value) }
    for (name, value) in values { histories[name, default: History()].append(value) }
  }

  /// Returns the lines to draw, cut to the size of the terminal. `notice` is the last message of the log.
  func lines(for size: TerminalSize, notice: String?) -> [StyledLine] {
    guard let sample else { return [] }
    var lines = [title(sample)]
    // About half of the screen, so that the lists have the other half.
    lines += metrics(sample, size.columns, atMost: max(size.rows / 2 + (size.rows >= 20 ? 1 : -1), 1))
    if size.rows >= 16 { lines.append(StyledLine()) }
    let room = max(size.rows - lines.count - (notice == nil ? 0 : 1), 0)
    let lists = WatchLists(
      sample.report, alarms, marksAlarms: sample.activeAlarms != nil, isUnicode: isUnicode)
    lines += lists.lines(rows: room, columns: size.columns)
    if let notice {
      lines += [StyledLine](repeating: StyledLine(), count: max(size.rows - 1 - lines.count, 0))
      lines.append(StyledLine(notice, .dim))
    }
    return lines.prefix(size.rows).map { $0.cut(to: size.columns, mark: isUnicode ? "…" : "...") }
  }

  private func title(_ sample: Sample) -> StyledLine {
    var line = StyledLine("defender collect", .bold)
    line.append("   q quits", .dim)
    if let count = sample.activeAlarms {
      line.append("   ")
      line.append(
        count == 0 ? "no alarms" : "\(count) alarm\(count == 1 ? "" : "s")", count == 0 ? .plain : .bold)
    }
    let date = CivilTime(time).extendedFormat
    line.append(
      "   every \(shortNumber(interval)) s   \(date.prefix(10)) \(date.dropFirst(11).prefix(8)) UTC")
    return line
  }

  // MARK: Metrics

  private static let nameWidth = 15
  private static let valueWidth = 12

  /// Returns the heads and the rows of the metrics, each with its alarms below it, in at most `limit` rows.
  private func metrics(_ sample: Sample, _ columns: Int, atMost limit: Int) -> [StyledLine] {
    var rows = MetricRow.rows(of: sample, units: units)
    let known = rows.reduce(into: Set<String>()) { $0.formUnion($1.metrics) }
    // The metric of an alarm may be missing from this report.
    for name in Set(alarms.events.map(\.behavior.metric)).subtracting(known).sorted() {
      rows.append(MetricRow(name: name, value: nil, unit: .number(""), metrics: [name], rank: 3))
    }
    let graph = Graph(columns: columns, interval: interval)
    let blocks = rows.map { row in
      let marks = alarms.events(about: row.metrics).map { StyledLine($0.alarmLine(at: time), .bold) }
      return (rank: marks.isEmpty ? row.rank : -1, lines: [line(row, graph)] + marks)
    }
    return [heads(graph)] + Self.fitting(blocks, limit)
  }

  /// Returns the lines of the blocks that fit into `limit` lines, in their original order. Blocks with small ranks are chosen first.
  private static func fitting(_ blocks: [(rank: Int, lines: [StyledLine])], _ limit: Int) -> [StyledLine] {
    var rest = limit
    var shown: [Int: [StyledLine]] = [:]
    for index in blocks.indices.sorted(by: { (blocks[$0].rank, $0) < (blocks[$1].rank, $1) }) where rest > 0 {
      shown[index] = Array(blocks[index].lines.prefix(rest))
      rest -= shown[index]?.count ?? 0
    }
    return blocks.indices.flatMap { shown[$0] ?? [] }
  }

  private func heads(_ graph: Graph) -> StyledLine {
    StyledLine("METRIC".padded(Self.nameWidth) + "NOW".leftPadded(Self.valueWidth) + graph.head, .dim)
  }

  private func line(_ row: MetricRow, _ graph: Graph) -> StyledLine {
    let name = StyledLine(row.name).cut(to: Self.nameWidth - 1, mark: isUnicode ? "…" : "...").text
    let value = row.value.map(row.unit.text) ?? "?"
    var line = StyledLine(name.padded(Self.nameWidth) + value.leftPadded(Self.valueWidth))
    guard graph.width > 0, let history = histories[row.name] else { return line }
    let scale = history.scale(width: graph.width, top: row.unit.top)
    line.append("  \(history.graph(width: graph.width, scale: scale, isUnicode: isUnicode))")
    guard graph.hasScale else { return line }
    let bottom = scale.lowerBound < scale.upperBound ? "\(fittedNumber(scale.lowerBound)) to " : ""
    line.append("  \(bottom)\(row.unit.text(scale.upperBound))", .dim)
    return line
  }

  /// The place of the graphs right of names and values.
  private struct Graph {
    private static let scaleWidth = 18

    /// The number of values that a graph shows; 0 if there is no room for it.
    let width: Int
    /// Whether there is room for the scale.
    let hasScale: Bool
    /// The column heads of the graph and the scale. The graph's head shows the times of its first and its last value.
    let head: String

    init(columns: Int, interval: Double) {
      hasScale = columns >= 60
      let rest = columns - nameWidth - valueWidth - 2 - (hasScale ? Self.scaleWidth : 0)
      width = rest >= 8 ? min(rest, History.length) : 0
      let seconds = interval * Double(width)
      let length = seconds < 600 ? "\(Int(seconds.rounded())) s" : span(.seconds(seconds))
      let start = width >= 16 ? "-\(length)" : ""
      head =
        width == 0 ? "" : "  \(start)" + "now".leftPadded(width - start.count) + (hasScale ? "  SCALE" : "")
    }
  }
}

extension String {
  /// Returns the text padded with trailing blanks to `width` characters.
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(width - count, 0)) }

  /// Returns the text padded with leading blanks to `width` characters.
  func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(width - count, 0)) + self }
}
