import Detection
import DeviceDefender

/// An element of a list that a behavior can allow or forbid: a port or an address.
protocol ListElement: Hashable, Comparable, Sendable {
  /// Returns whether the element is in the set of a behavior; nil if the set has elements of another kind.
  func isMember(of value: CriteriaValue) -> Bool?
}

extension UInt16: ListElement {
  func isMember(of value: CriteriaValue) -> Bool? {
    if case .ports(let ports) = value { ports.contains(self) } else { nil }
  }
}

extension IPAddress: ListElement {
  func isMember(of value: CriteriaValue) -> Bool? {
    if case .cidrs(let cidrs) = value { cidrs.contains { $0.contains(self) } } else { nil }
  }
}

// The charts that show when the elements of a list came and went.
extension DetectionPage {
  private static let maximumLanes = 14
  private static let labelLength = 15

  /// An element of a list of a thing.
  private struct Row<Element: ListElement> {
    let element: Element
    let presence: ElementHistory<Element>.Presence
    /// The first behavior that the element violates; nil if none.
    let violated: String?
    let change: String
  }

  /// Returns the first behavior that an element of a metric violates; nil if none.
  func behavior(violatedBy element: some ListElement, _ metric: DeviceMetric) -> String? {
    for rule in history.rules where rule.behavior.metric == .device(metric) {
      guard case .value(let value) = rule.behavior.criteria.threshold,
        let comparison = rule.behavior.criteria.comparisonOperator,
        let isMember = element.isMember(of: value)
      else { continue }
      if isMember != comparison.requiresMembers { return rule.behavior.name }
    }
    return nil
  }

  mutating func presenceChart<Element: ListElement>(
    _ list: ElementHistory<Element>, _ metric: DeviceMetric, of thing: String, _ label: (Element) -> String
  ) -> HTML {
    guard !list.presences.isEmpty else { return "" }
    let rows = list.presences.map { element, presence in
      Row(
        element: element, presence: presence, violated: behavior(violatedBy: element, metric),
        change: change(list, presence))
    }.sorted { left, right in
      let mine = (left.violated == nil ? 1 : 0, left.change.isEmpty ? 1 : 0, left.presence.first)
      let others = (right.violated == nil ? 1 : 0, right.change.isEmpty ? 1 : 0, right.presence.first)
      return mine == others ? left.element < right.element : mine < others
    }
    let shown = rows.prefix(Self.maximumLanes)
    let height = 20
    var content = scale.markup(top: 0, bottom: height * shown.count)
    for (index, row) in shown.enumerated() {
      content += markup(of: row, label(row.element), y: index * height)
    }
    let cells = rows.map { row -> HTML in
      """
      <tr><th scope="row">\(label(row.element))</th><td class="text">\(row.change.isEmpty ? "present throughout" : row.change)</td>\
      <td>\(Stamp(row.presence.first).short)</td><td>\(Stamp(row.presence.last).short)</td><td>\(grouped(row.presence.reports))</td>\
      <td class="text">\(row.violated.map { "violates \($0)" } ?? "allowed")</td></tr>
      """
    }
    let title = Metric.device(metric).title
    return figure(
      "<b>\(title)</b> \(note(list, rows.count, shown.count))", title: "\(title) of \(thing)",
      description:
        "\(grouped(rows.count)) in total, \(grouped(rows.count { $0.violated != nil })) not in the profile.",
      kind: "names", height: height * shown.count + 22, content,
      table: table(
        "\(title) of \(thing)",
        [
          .text("Element"), .text("Change"), .number("First seen"), .number("Last seen"), .number("Reports"),
          .text("Profile"),
        ], cells))
  }

  /// Returns sentences about what the chart leaves out, and why elements may be missing.
  private func note<Element>(_ list: ElementHistory<Element>, _ count: Int, _ shown: Int) -> String {
    var parts: [String] = []
    if count > shown { parts.append("The chart shows \(shown) of \(grouped(count)); the table lists all.") }
    if list.dropped > 0 { parts.append("\(grouped(list.dropped)) more came and went and aren't listed.") }
    if list.sampledReports > 0 {
      parts.append(
        "In \(counted(list.sampledReports, "report")) the list is a sample, so elements may be missing.")
    }
    return parts.joined(separator: " ")
  }

  private func change<Element>(_ list: ElementHistory<Element>, _ presence: ElementHistory<Element>.Presence)
    -> String
  {
    switch (list.came(presence), list.went(presence)) {
    case (true, true): "came and went"
    case (true, false): "came"
    case (false, true): "went"
    case (false, false): presence.reports < list.reports ? "absent at times" : ""
    }
  }

  private func markup<Element>(of row: Row<Element>, _ label: String, y: Int) -> HTML {
    let buckets = row.presence.buckets
    let bars =
      row.violated == nil
      ? bars(buckets, "present", y: y + 5, height: 10) : hatchedBars(buckets, y: y + 5, height: 10)
    let style: HTML = row.violated == nil ? "" : " strong"
    return """
      <line class="base" x1="0" x2="100%" y1="\(y + 10)" y2="\(y + 10)"/>\(bars)\
      <text class="label e\(style)" x="-8" y="\(y + 14)">\(middleShortened(label, to: Self.labelLength))</text>
      """
  }

  /// Shortens a long address in the middle, because addresses of one network differ at the end.
  private func middleShortened(_ text: String, to limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    return "\(text.prefix(limit - 6))…\(text.suffix(5))"
  }
}
