import Detection

// The section "Alarms over time": alarms of the whole fleet, by behavior, and by thing.
extension DetectionPage {
  private static let maximumBehaviorLanes = 16
  private static let maximumLanes = 40
  private static let maximumBehaviorRows = 100
  private static let labelLength = 46
  static var laneHeight: Int { 38 }

  /// What one behavior did in the whole fleet.
  private struct BehaviorSummary {
    let rule: FleetHistory.Rule
    var active = 0
    var things = 0
    var alarms = 0
    var seconds: UInt64 = 0
    /// The number of things in alarm in each bucket.
    var counts: [Int]
  }

  mutating func alarmSection() -> HTML {
    let summaries = behaviorSummaries()
    return """
      <section aria-labelledby="alarms"><h2 id="alarms">Alarms over time</h2>
      \(fleetChart())\(behaviorChart(summaries))\(behaviorTable(summaries))\(thingChart())</section>

      """
  }

  /// The behaviors, the worst first.
  private func behaviorSummaries() -> [BehaviorSummary] {
    var summaries = history.rules.map {
      BehaviorSummary(rule: $0, counts: Array(repeating: 0, count: scale.count))
    }
    for thing in ranking {
      for (rule, alarm) in thing.alarms {
        summaries[rule].active += alarm.since == nil ? 0 : 1
        summaries[rule].things += 1
        summaries[rule].alarms += alarm.count
        summaries[rule].seconds += alarm.seconds
        for run in alarm.buckets.runs {
          for bucket in run { summaries[rule].counts[bucket - scale.axis.buckets.lowerBound] += 1 }
        }
      }
    }
    return summaries.enumerated().sorted { left, right in
      let mine = (left.element.active, left.element.seconds, left.element.alarms)
      let others = (right.element.active, right.element.seconds, right.element.alarms)
      return mine == others ? left.offset < right.offset : mine > others
    }.map(\.element)
  }

  private func rowsOfCounts(_ counts: [Int]) -> [Int] {
    scale.rows.map { row in
      row.buckets.map { counts[$0 - scale.axis.buckets.lowerBound] }.max() ?? 0
    }
  }

  private mutating func fleetChart() -> HTML {
    var counts = Array(repeating: 0, count: scale.count)
    for thing in ranking {
      var buckets = BucketSet()
      for alarm in thing.alarms.values {
        for run in alarm.buckets.runs { buckets.insert(run.lowerBound...(run.upperBound - 1)) }
      }
      for run in buckets.runs { for bucket in run { counts[bucket - scale.axis.buckets.lowerBound] += 1 } }
    }
    let most = counts.max() ?? 0
    let height = 120
    let values = ValueScale(smallest: 0, largest: Double(max(most, 3)), bound: nil, height: height)
    let area = stepPath(counts.map { $0 == 0 ? nil : values.y(Double($0)) }, base: Double(height))
    let content =
      valueAxis(values, top: 8) { grouped(Int($0)) } + scale.markup(top: 8, bottom: 8 + height)
      + plot(y: 8, height: height, "<path class=\"alarm\" d=\"\(area)\"/>")
    let peak = counts.firstIndex(of: most).map { scale.axis.start + UInt64($0) * scale.axis.width } ?? 0
    let description =
      most == 0
      ? "No thing was in alarm."
      : "At most \(counted(most, "thing")) of \(grouped(ranking.count)) at the same time, first at \(Stamp(peak).short)."
    let rows = zip(scale.rows, rowsOfCounts(counts)).map { row, count -> HTML in
      "<tr><th scope=\"row\">\(Stamp(row.time).short)</th><td>\(grouped(count))</td></tr>"
    }
    return figure(
      "<b>Things in alarm</b> \(description)", title: "Things in alarm over time", description: description,
      kind: "values", height: height + 30, content,
      table: table("Most things in alarm at the same time", [.text("From"), .number("Things")], rows))
  }

  private mutating func behaviorChart(_ summaries: [BehaviorSummary]) -> HTML {
    let shown = summaries.filter { $0.alarms > 0 }.prefix(Self.maximumBehaviorLanes)
    guard !shown.isEmpty else { return "" }
    let most = max(shown.map { $0.counts.max() ?? 0 }.max() ?? 1, 1)
    let (rowHeight, barHeight) = (44, 22)
    var content = scale.markup(top: 0, bottom: rowHeight * shown.count)
    for (index, summary) in shown.enumerated() {
      let path = stepPath(
        summary.counts.map { $0 == 0 ? nil : Double(barHeight) * (1 - Double($0) / Double(most)) },
        base: Double(barHeight))
      let peak = summary.counts.max() ?? 0
      content += """
        <text class="label" x="0" y="\(index * rowHeight + 13)">\(shortened(summary.rule.behavior.name, to: Self.labelLength))</text>\
        <text class="note e" x="100%" y="\(index * rowHeight + 13)">\(peak == 1 ? "1 thing" : "up to \(counted(peak, "thing"))")</text>\
        \(plot(y: index * rowHeight + 18, height: barHeight, "<path class=\"alarm\" d=\"\(path)\"/>"))\
        <line class="base" x1="0" x2="100%" y1="\(index * rowHeight + 40)" y2="\(index * rowHeight + 40)"/>
        """
    }
    let rows = scale.rows.enumerated().map { index, row -> HTML in
      let cells = shown.map { "<td>\(grouped(rowsOfCounts($0.counts)[index]))</td>" as HTML }.joined()
      return "<tr><th scope=\"row\">\(Stamp(row.time).short)</th>\(cells)</tr>"
    }
    let rest = summaries.count { $0.alarms > 0 } - shown.count
    let note: HTML =
      rest > 0
      ? "The height is the number of things; \(counted(rest, "behavior")) more in the table below."
      : "The height is the number of things."
    return figure(
      "<b>Alarms by behavior</b> \(note)", title: "Things in alarm over time by behavior",
      description: "One lane for each of \(counted(shown.count, "behavior")) with alarms, the worst first.",
      height: rowHeight * shown.count + 22, content,
      table: table(
        "Most things in alarm at the same time by behavior",
        [.text("From")] + shown.map { .number(shortened($0.rule.behavior.name, to: Self.labelLength)) }, rows)
    )
  }

  private func behaviorTable(_ summaries: [BehaviorSummary]) -> HTML {
    let rows = summaries.prefix(Self.maximumBehaviorRows).map { summary -> HTML in
      """
      <tr><th scope="row">\(summary.rule.behavior.name)<small>\(summary.rule.profile)</small></th>\
      <td class="text">\(summary.rule.behavior.metric.title)<small><bdi>\(summary.rule.behavior.norm)</bdi></small></td>\
      <td>\(grouped(summary.active))</td><td>\(grouped(summary.things))</td><td>\(grouped(summary.alarms))</td>\
      <td>\(duration(summary.seconds))</td></tr>
      """
    }
    let rest = summaries.count - rows.count
    let note: HTML = rest > 0 ? "<p class=\"more\">\(counted(rest, "more behavior")) not listed.</p>" : ""
    return """
      <h3>Behaviors</h3><div class="table">\(
        table(
          "Behaviors of the profiles, the worst first",
          [
            .text("Behavior"), .text("What is normal"), .number("In alarm"), .number("Things"),
            .number("Alarms"), .number("Time in alarm"),
          ], rows))</div>\(note)
      """
  }

  /// A lane for each behavior of the worst things.
  private mutating func thingChart() -> HTML {
    let all = ranking.flatMap { thing in lanes(of: thing).map { (thing.name, $0) } }
    guard !all.isEmpty else { return "<p class=\"good\">No thing had an alarm.</p>" }
    let shown = all.prefix(Self.maximumLanes)
    let note: HTML =
      all.count > shown.count
      ? "The first \(shown.count) of \(grouped(all.count)) lanes, one for each thing and behavior. The section “All things” shows every thing."
      : "One lane for each thing and behavior, the worst thing first."
    let rows = shown.map { thing, lane -> HTML in
      "<tr><th scope=\"row\">\(thing)</th><td class=\"text\">\(lane.rule.behavior.name)</td>\(cells(of: lane.alarm))</tr>"
    }
    let height = Self.laneHeight
    var content = scale.markup(top: 0, bottom: height * shown.count)
    for (index, (thing, lane)) in shown.enumerated() { content += markup(of: lane, thing, y: index * height) }
    return figure(
      "<b>Alarms by thing and behavior</b> \(note)", title: "Alarms by thing and behavior over time",
      description: "\(counted(shown.count, "lane")). A bar covers the time in alarm.",
      height: height * shown.count + 22, content,
      table: table("Alarms by thing and behavior", [.text("Thing")] + Self.laneColumns, rows))
  }

  static var laneColumns: [Column] {
    [
      .text("Behavior"), .number("Alarms"), .number("Time in alarm"), .number("Latest"), .text("Value"),
      .text("At the end"),
    ]
  }

  /// The behaviors that had an alarm on a thing, the worst first.
  func lanes(of thing: ThingHistory) -> [(rule: FleetHistory.Rule, alarm: AlarmHistory)] {
    thing.alarms.sorted { left, right in
      let mine = (left.value.since == nil ? 0 : 1, left.value.seconds, left.value.count)
      let others = (right.value.since == nil ? 0 : 1, right.value.seconds, right.value.count)
      return mine == others ? left.key < right.key : mine > others
    }.map { (history.rules[$0.key], $0.value) }
  }

  /// The cells of ``laneColumns`` after the behavior's name.
  func cells(of alarm: AlarmHistory) -> HTML {
    """
    <td>\(grouped(alarm.count))</td><td>\(duration(alarm.seconds))</td>\
    <td>\(Stamp(alarm.latest).short)</td><td class="text"><bdi>\(alarm.value)</bdi></td>\
    <td class="text">\(alarm.since == nil ? "cleared" : "in alarm")</td>
    """
  }

  func markup(
    of lane: (rule: FleetHistory.Rule, alarm: AlarmHistory), _ thing: String?, y: Int
  ) -> HTML {
    let name = thing.map { "<tspan class=\"strong\">\(shortened($0, to: 22))</tspan> " as HTML } ?? ""
    let active = lane.alarm.since == nil ? "" : "in alarm, "
    return """
      <text class="label" x="0" y="\(y + 13)">\(name)\(shortened(lane.rule.behavior.name, to: thing == nil ? 46 : 24))</text>\
      <text class="note e" x="100%" y="\(y + 13)">\(active)\(duration(lane.alarm.seconds))</text>\
      <line class="base" x1="0" x2="100%" y1="\(y + 23)" y2="\(y + 23)"/>\(bars(lane.alarm.buckets, "alarm", y: y + 19, height: 9))
      """
  }
}
