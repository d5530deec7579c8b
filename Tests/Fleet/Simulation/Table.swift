import Platform

/// A Markdown table of the scenarios.
struct Table {
  private(set) var text = """
    | scenario | reports/s: mean, highest second | refused connections/s, highest | reports throttled | silent in \
    the last half | back after |
    |---|---|---|---|---|---|

    """

  mutating func add(_ scenario: Scenario, _ seen: Arrivals) {
    let back = seen.recovery.map { "\(Int($0.inSeconds)) s" } ?? (scenario.hasEvent ? "not yet" : "")
    let cells = [
      scenario.name, "\(grouped(Int(mean(scenario).rounded()))), \(grouped(Int(peak(seen.reports))))",
      grouped(Int(peak(seen.refusedConnections))), percent(throttledShare(seen)), grouped(seen.silent), back,
    ]
    text += "| \(cells.joined(separator: " | ")) |\n"
  }

  /// Returns `share` as a percentage with two decimals.
  private func percent(_ share: Double) -> String {
    let hundredths = Int((share * 10_000).rounded())
    if hundredths == 0, share > 0 { return "under 0.01 %" }
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) %"
  }
}

extension Scenario {
  /// Whether the scenario contains an event that the fleet must recover from.
  var hasEvent: Bool { outage != nil || restart != nil }
}
