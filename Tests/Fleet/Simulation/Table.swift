import Platform

/// The scenarios as a table in Markdown.
struct Table {
  private(set) var text = """
    | scenario | reports/s: mean, highest second | refused connections/s, highest | reports throttled | not heard in \
    the last half | back after |
    |---|---|---|---|---|---|

    """

  mutating func add(_ scenario: Scenario, _ seen: Arrivals) {
    let back = seen.recovery.map { "\(Int($0.inSeconds)) s" } ?? (scenario.hasEvent ? "not yet" : "")
    let cells = [
      scenario.name, "\(grouped(Int(mean(scenario).rounded()))), \(grouped(Int(peak(seen.reports))))",
      grouped(Int(peak(seen.refusedConnections))), percent(throttledShare(seen)), grouped(seen.unheard), back,
    ]
    text += "| \(cells.joined(separator: " | ")) |\n"
  }

  /// `share` in hundredths, with two decimals.
  private func percent(_ share: Double) -> String {
    let hundredths = Int((share * 10_000).rounded())
    if hundredths == 0, share > 0 { return "under 0.01 %" }
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) %"
  }
}

extension Scenario {
  /// Whether something happens that the fleet has to come back from.
  var hasEvent: Bool { outage != nil || restart != nil }
}
