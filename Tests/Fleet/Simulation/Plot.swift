import Platform

/// An SVG plot with one curve per scenario: arrivals per second, as the maximum of each ten seconds.
struct Plot {
  private static let width = 720
  private static let panelHeight = 118
  private static let left = 64
  private static let right = 16
  private static let top = 24
  /// The number of seconds that one point of a curve represents.
  private static let step = 10
  private static let ceiling = 24_000.0
  private static let lastSecond = 2_400

  private var body = ""
  private var panels = 0

  mutating func add(_ scenario: Scenario, _ seen: Arrivals) {
    let origin = Self.top + panels * (Self.panelHeight + 46) + 22
    panels += 1
    text(Self.left, origin - 8, scenario.name, size: 13, weight: "600")
    for value in [0.0, 8_000, 16_000, 24_000] {
      let y = origin + self.y(value)
      line(Self.left, y, Self.width - Self.right, y, "#e3e6ea")
      text(Self.left - 8, y + 4, grouped(Int(value)), size: 11, anchor: "end", color: "#5b6570")
    }
    for minute in stride(from: 0, through: 40, by: 5) {
      text(
        x(minute * 60), origin + Self.panelHeight + 15, "\(minute)", size: 11, anchor: "middle",
        color: "#5b6570")
    }
    let quota = origin + y(scenario.quotas.reports)
    line(Self.left, quota, Self.width - Self.right, quota, "#8a939c", dashes: "4 3")
    curve(seen.refusedConnections, from: origin, "#d9822b")
    curve(seen.reports, from: origin, "#1f6feb")
    let highest = seen.reports.max() ?? 0
    if Double(highest) > Self.ceiling, let second = seen.reports.firstIndex(of: highest) {
      text(
        x(second) + 6, origin + 12, "\(grouped(highest)) reports in second \(second)", size: 11,
        color: "#1f6feb")
    }
  }

  func svg() -> String {
    let height = Self.top + panels * (Self.panelHeight + 46) + 34
    var page = Plot()
    let legend = height - 14
    page.line(Self.left, legend - 4, Self.left + 22, legend - 4, "#1f6feb", width: 2)
    page.text(Self.left + 28, legend, "reports", size: 12)
    page.line(Self.left + 96, legend - 4, Self.left + 118, legend - 4, "#d9822b", width: 2)
    page.text(Self.left + 124, legend, "refused connections", size: 12)
    page.line(Self.left + 260, legend - 4, Self.left + 282, legend - 4, "#8a939c", dashes: "4 3", width: 2)
    page.text(Self.left + 288, legend, "quota of reports", size: 12)
    page.text(Self.width - Self.right, legend, "minutes", size: 12, anchor: "end")
    page.text(Self.left, 16, "Arrivals per second from 1,000,000 devices (highest second of ten)", size: 13)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(height)" viewBox="0 0 \(Self.width) \(height)" \
      font-family="system-ui, sans-serif">
      <rect width="100%" height="100%" fill="#ffffff"/>
      \(body)\(page.body)</svg>

      """
  }

  private mutating func curve(_ counts: [Int], from origin: Int, _ color: String) {
    var points: [String] = []
    for second in stride(from: 0, to: min(Self.lastSecond, counts.count), by: Self.step) {
      let highest = counts[second..<min(second + Self.step, counts.count)].max() ?? 0
      points.append("\(x(second)),\(origin + y(Double(highest)))")
    }
    body +=
      "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"1.5\" points=\"\(points.joined(separator: " "))\"/>\n"
  }

  private mutating func line(
    _ x1: Int, _ y1: Int, _ x2: Int, _ y2: Int, _ color: String, dashes: String = "", width: Int = 1
  ) {
    let dash = dashes.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\""
    body += "<path d=\"M\(x1) \(y1)H\(x2)\" stroke=\"\(color)\" stroke-width=\"\(width)\"\(dash)/>\n"
  }

  private mutating func text(
    _ x: Int, _ y: Int, _ words: String, size: Int, anchor: String = "start", weight: String = "400",
    color: String = "#1f2328"
  ) {
    body +=
      "<text x=\"\(x)\" y=\"\(y)\" font-size=\"\(size)\" text-anchor=\"\(anchor)\" font-weight=\"\(weight)\" "
      + "fill=\"\(color)\">\(words)</text>\n"
  }

  private func x(_ second: Int) -> Int {
    Self.left + (Self.width - Self.left - Self.right) * second / Self.lastSecond
  }

  private func y(_ value: Double) -> Int {
    Self.panelHeight - Int(Double(Self.panelHeight) * min(value, Self.ceiling) / Self.ceiling)
  }
}

/// Returns `number` with commas between groups of three digits.
func grouped(_ number: Int) -> String {
  var digits = "\(number)"
  var groups: [String] = []
  while digits.count > 3 {
    groups.insert(String(digits.suffix(3)), at: 0)
    digits.removeLast(3)
  }
  return ([digits] + groups).joined(separator: ",")
}
