// The section "All things": one row for each thing.
extension DetectionPage {
  /// The largest number of bytes for all rows together. Things that don't fit share one row.
  private static let rowBytes = 400_000
  /// The number of cells of the strip in a row.
  private static let stripCells = 48

  func thingSection(cards: Int) -> HTML {
    var rows = HTML()
    var shown = 0
    for (index, thing) in ranking.enumerated() {
      let row = row(of: thing, card: index < cards ? index + 1 : nil)
      guard rows.bytes.count + row.bytes.count <= Self.rowBytes else { break }
      rows += row
      shown += 1
    }
    let rest = ranking.dropFirst(shown)
    if !rest.isEmpty { rows += rowOfRest(rest) }
    let note: HTML = rest.isEmpty ? "" : " \(grouped(rest.count)) things share the last row."
    return """
      <section aria-labelledby="things"><h2 id="things">All things</h2>
      <p>In the order of the ranking.\(note) The strip shows when a thing was in alarm, from the first to the last report of the fleet.</p>
      <div class="table things">\(
        table(
          "All things, the worst first",
          [
            .text("Thing"), .number("In alarm"), .number("Alarms"), .number("Time in alarm"), .number("When"),
            .number("Reports"), .number("Ignored"), .number("Last report"),
          ], [rows])
      )</div></section>

      """
  }

  private func row(of thing: ThingHistory, card: Int?) -> HTML {
    let name: HTML = card.map { "<a href=\"#t\($0)\">\(thing.name)</a>" } ?? "\(thing.name)"
    return """
      <tr><th scope="row">\(name)</th><td>\(grouped(thing.activeAlarms))</td><td>\(grouped(thing.alarmCount))</td>\
      <td>\(duration(thing.alarmSeconds))</td><td>\(strip(of: thing))</td><td>\(grouped(thing.reports))</td>\
      <td>\(grouped(thing.ignoredReports))</td><td>\(thing.lastReport == 0 ? "unknown" : Stamp(thing.lastReport).short)</td></tr>

      """
  }

  private func rowOfRest(_ rest: ArraySlice<ThingHistory>) -> HTML {
    """
    <tr><th scope="row">\(grouped(rest.count)) more things</th><td>\(grouped(rest.reduce(0) { $0 + $1.activeAlarms }))</td>\
    <td>\(grouped(rest.reduce(0) { $0 + $1.alarmCount }))</td><td>\(duration(rest.reduce(0) { $0 + $1.alarmSeconds }))</td><td></td>\
    <td>\(grouped(rest.reduce(0) { $0 + $1.reports }))</td><td>\(grouped(rest.reduce(0) { $0 + $1.ignoredReports }))</td>\
    <td>\(Stamp(rest.map(\.lastReport).max() ?? 0).short)</td></tr>
    """
  }

  /// A small picture that shows when a thing was in alarm. The row's other cells contain the numbers.
  private func strip(of thing: ThingHistory) -> HTML {
    guard thing.alarmCount > 0, !scale.axis.buckets.isEmpty else { return "" }
    var cells = BucketSet()
    for alarm in thing.alarms.values {
      for run in alarm.buckets.runs {
        let first = run.lowerBound - scale.axis.buckets.lowerBound
        let last = run.upperBound - 1 - scale.axis.buckets.lowerBound
        cells.insert((first * Self.stripCells / scale.count)...(last * Self.stripCells / scale.count))
      }
    }
    let path = cells.runs.map { "M\($0.lowerBound) 1h\($0.count)" as HTML }.joined()
    return """
      <svg class="strip" viewBox="0 0 \(Self.stripCells) 2" preserveAspectRatio="none" aria-hidden="true"><path d="\(path)"/></svg>
      """
  }
}
