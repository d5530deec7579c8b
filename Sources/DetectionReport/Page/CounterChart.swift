import Detection

// The chart of a counter with its threshold.
extension DetectionPage {
  private static let height = 96
  private static let top = 20

  mutating func counterChart(
    _ counter: CounterHistory, _ rule: FleetHistory.Rule, _ alarm: AlarmHistory?, of thing: String
  ) -> HTML {
    let plan = rule.counter.map { history.plans[$0] }
    let behavior = rule.behavior
    let unit = Unit(behavior.metric)
    let limit = Double(Float.greatestFiniteMagnitude)
    let buckets = scale.axis.buckets.map { bucket in
      counter.values[bucket].map { min(max(Double($0), -limit), limit) }
    }
    let found = buckets.compactMap { $0 }
    let values = ValueScale(
      smallest: found.min() ?? 0, largest: found.max() ?? 0, bound: behavior.bound, height: Self.height)
    let bottom = Self.top + Self.height
    let content: HTML = """
      <text class="tick" x="0" y="11">\(unit.name)</text>\(valueAxis(values, top: Self.top, unit.axisText))\(scale.markup(top: Self.top, bottom: bottom + 10))\
      \(area(buckets, values, behavior))\(thresholdLine(values, behavior, unit))\(strip(alarm, y: bottom + 3))
      """
    let title = "\(behavior.name) of \(thing): \(behavior.metric.title)"
    let extreme = counter.extreme.map {
      "\(plan?.keepsSmallest == true ? "Lowest" : "Highest") \(unit.text($0.value)) at \(Stamp($0.time).short)."
    }
    let alarms =
      alarm.map { "\(counted($0.count, "alarm")), \(duration($0.seconds)) in alarm." } ?? "No alarm."
    let logarithmic = values.isLogarithmic ? " Logarithmic axis." : ""
    let description = "Normal: \(behavior.norm). \(extreme ?? "No datapoint.") \(alarms)\(logarithmic)"
    let rows = scale.rows.map { row -> HTML in
      let values = row.buckets.compactMap { counter.values[$0].map(Double.init) }
      let value = plan?.keepsSmallest == true ? values.min() : values.max()
      let isAlarm = alarm.map { alarm in row.buckets.contains { alarm.buckets.contains($0) } } ?? false
      return """
        <tr><th scope="row">\(Stamp(row.time).short)</th><td>\(value.map(unit.text) ?? ("no datapoint" as String))</td>\
        <td class="text">\(isAlarm ? "in alarm" : "")</td></tr>
        """
    }
    let head = plan?.keepsSmallest == true ? "Lowest value" : "Highest value"
    return figure(
      """
      <b>\(behavior.name)</b> \(behavior.metric.title), normal: <bdi>\(behavior.norm)</bdi>. \
      \(extreme ?? "No datapoint.")\(logarithmic)
      """, title: title, description: description, kind: "values", height: bottom + 30, content,
      table: table(title, [.text("From"), .number(head), .text("Alarm")], rows))
  }

  private func area(_ buckets: [Double?], _ values: ValueScale, _ behavior: Behavior) -> HTML {
    let path = stepPath(buckets.map { $0.map(values.y) }, base: values.y(max(values.bottom, 0)))
    guard let bound = behavior.bound, behavior.criteria.comparisonOperator?.isUpper == true else {
      return plot(y: Self.top, height: Self.height, "<path class=\"area\" d=\"\(path)\"/>")
    }
    let id = nextChart
    return plot(
      y: Self.top, height: Self.height,
      """
      <defs><path id="p\(id)" d="\(path)"/><clipPath id="k\(id)"><rect x="0" y="0" width="\(scale.count)" \
      height="\(.decimal(values.y(bound)))"/></clipPath></defs><use class="area" href="#p\(id)"/>\
      <use class="over" href="#p\(id)" clip-path="url(#k\(id))"/>
      """)
  }

  private func thresholdLine(_ values: ValueScale, _ behavior: Behavior, _ unit: Unit) -> HTML {
    guard let bound = behavior.bound, let sign = behavior.criteria.comparisonOperator?.sign else { return "" }
    let y = Double(Self.top) + values.y(bound)
    return """
      <line class="bound" x1="0" x2="100%" y1="\(.decimal(y))" y2="\(.decimal(y))"/>\
      <text class="bound-label e" x="100%" y="11">normal \(sign) \(unit.text(bound))</text>
      """
  }

  private func strip(_ alarm: AlarmHistory?, y: Int) -> HTML {
    alarm.map { bars($0.buckets, "alarm", y: y, height: 6) } ?? ""
  }

  /// The horizontal lines of a chart with their values on the left.
  func valueAxis(_ values: ValueScale, top: Int, _ text: (Double) -> String) -> HTML {
    values.ticks.map { value -> HTML in
      let y = Double(top) + values.y(value)
      return """
        <line class="grid" x1="0" x2="100%" y1="\(.decimal(y))" y2="\(.decimal(y))"/>\
        <text class="tick e" x="-8" y="\(.decimal(y + 4))">\(text(value))</text>
        """
    }.joined()
  }

  /// The path of an area with a step for each bucket; nil leaves a gap.
  func stepPath(_ heights: [Double?], base: Double) -> HTML {
    var path = HTML()
    var current: Double?
    for (index, height) in heights.enumerated() {
      if height == current { continue }
      switch (current, height) {
      case (nil, let next?): path += "M\(index) \(.decimal(base))V\(.decimal(next))"
      case (_?, let next?): path += "H\(index)V\(.decimal(next))"
      case (_?, nil): path += "H\(index)V\(.decimal(base))Z"
      case (nil, nil): break
      }
      current = height
    }
    if current != nil { path += "H\(heights.count)V\(.decimal(base))Z" }
    return path
  }
}

extension ComparisonOperator {
  fileprivate var isUpper: Bool { self == .lessThan || self == .lessThanEquals }
}
