import Detection
import DeviceDefender

// The card that shows a thing in detail.
extension DetectionPage {
  private static let maximumCounters = 6

  mutating func card(_ thing: ThingHistory, number: Int) -> HTML {
    let lanes = lanes(of: thing)
    let state: HTML =
      thing.activeAlarms > 0
      ? "<span class=\"badge\">\(counted(thing.activeAlarms, "behavior")) in alarm</span>"
      : thing.alarmCount > 0
        ? "<span class=\"badge ok\">alarms cleared</span>" : "<span class=\"badge ok\">no alarm</span>"
    return """
      <article class="card" aria-labelledby="t\(number)"><h3 id="t\(number)"><span class="rank">\(number)</span> <bdi>\(thing.name)</bdi> \(state)</h3>
      <p class="facts">\(counted(thing.alarmCount, "alarm")), \(duration(thing.alarmSeconds)) in alarm. \
      \(counted(thing.reports, "report"))\(thing.ignoredReports > 0 ? ", \(grouped(thing.ignoredReports)) ignored" : "")\
      \(thing.lastReport == 0 ? "" : ", the last at \(time(thing.lastReport))" as HTML).</p>
      \(alarmChart(lanes, of: thing.name))\(counterCharts(thing))\(presenceCharts(thing))</article>

      """
  }

  private mutating func alarmChart(
    _ lanes: [(rule: FleetHistory.Rule, alarm: AlarmHistory)], of thing: String
  ) -> HTML {
    guard !lanes.isEmpty else { return "" }
    let shown = lanes.prefix(Self.maximumCounters * 2)
    let height = Self.laneHeight
    var content = scale.markup(top: 0, bottom: height * shown.count)
    for (index, lane) in shown.enumerated() { content += markup(of: lane, nil, y: index * height) }
    let rest = lanes.count - shown.count
    let note: HTML = rest > 0 ? "The worst \(shown.count) behaviors; \(rest) more had an alarm." : ""
    return figure(
      "<b>Alarms</b> \(note)", title: "Alarms of \(thing) over time",
      description: "\(counted(shown.count, "behavior")) had an alarm.", height: height * shown.count + 22,
      content,
      table: table(
        "Alarms of \(thing)", Self.laneColumns,
        shown.map {
          "<tr><th scope=\"row\">\($0.rule.behavior.name)</th>\(cells(of: $0.alarm))</tr>" as HTML
        }))
  }

  /// The counters that behaviors compare with a bound: those with alarms first.
  private mutating func counterCharts(_ thing: ThingHistory) -> HTML {
    let rules = history.rules.enumerated().compactMap { position, rule -> (Int, FleetHistory.Rule, Int)? in
      guard let counter = rule.counter, thing.counters[counter].datapoints > 0 else { return nil }
      return (position, rule, counter)
    }.sorted { left, right in
      let mine = thing.alarms[left.0]?.seconds ?? 0
      let others = thing.alarms[right.0]?.seconds ?? 0
      let (isMine, isOther) = (thing.alarms[left.0] != nil, thing.alarms[right.0] != nil)
      if isMine != isOther { return isMine }
      return mine == others ? left.0 < right.0 : mine > others
    }
    var html = HTML()
    for (position, rule, counter) in rules.prefix(Self.maximumCounters) {
      html += counterChart(thing.counters[counter], rule, thing.alarms[position], of: thing.name)
    }
    let rest = rules.count - Self.maximumCounters
    if rest > 0 { html += "<p class=\"more\">\(counted(rest, "more counter")) without a chart.</p>" }
    return rules.isEmpty ? "" : "<h4>Counters</h4>\n<div class=\"grid-2\">\(html)</div>\n"
  }

  private mutating func presenceCharts(_ thing: ThingHistory) -> HTML {
    let charts =
      presenceChart(thing.tcpPorts, .listeningTCPPorts, of: thing.name) { "TCP \($0)" }
      + presenceChart(thing.udpPorts, .listeningUDPPorts, of: thing.name) { "UDP \($0)" }
      + presenceChart(thing.destinations, .destinations, of: thing.name) { "\($0)" }
    return charts.bytes.isEmpty
      ? "" : "<h4>Ports and destinations</h4>\n<div class=\"grid-2\">\(charts)</div>\n"
  }
}
