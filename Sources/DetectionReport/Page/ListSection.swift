import Detection
import DeviceDefender

// The section "Ports and destinations": those that came and went in the whole fleet.
extension DetectionPage {
  private static let maximumRows = 40

  private struct FleetElement<Element: ListElement> {
    let element: Element
    let violated: String?
    var things = 0
    var came = 0
    var went = 0
    var first = UInt64.max
    var last: UInt64 = 0
  }

  func listSection() -> HTML {
    let parts: [HTML] = [
      part(ranking.map(\.tcpPorts), .listeningTCPPorts) { "TCP \($0)" },
      part(ranking.map(\.udpPorts), .listeningUDPPorts) { "UDP \($0)" },
      part(ranking.map(\.destinations), .destinations) { "\($0)" },
    ]
    return """
      <section aria-labelledby="lists"><h2 id="lists">Ports and destinations that came and went</h2>
      <p>What isn't in the profile comes first, then what the most things have. “Came” counts the things whose first report with the list \
      doesn't have the element, “went” those whose last one doesn't.</p>
      \(parts.joined())</section>

      """
  }

  private func part<Element: ListElement>(
    _ lists: [ElementHistory<Element>], _ metric: DeviceMetric, _ label: (Element) -> String
  ) -> HTML {
    var found: [Element: FleetElement<Element>] = [:]
    for list in lists {
      for (element, presence) in list.presences {
        var entry =
          found[element] ?? FleetElement(element: element, violated: behavior(violatedBy: element, metric))
        entry.things += 1
        entry.came += list.came(presence) ? 1 : 0
        entry.went += list.went(presence) ? 1 : 0
        entry.first = min(entry.first, presence.first)
        entry.last = max(entry.last, presence.last)
        found[element] = entry
      }
    }
    let changed = found.values.filter { $0.violated != nil || $0.came > 0 || $0.went > 0 }.sorted {
      left, right in
      let mine = (left.violated == nil ? 0 : 1, left.things)
      let others = (right.violated == nil ? 0 : 1, right.things)
      return mine == others ? (left.first, left.element) < (right.first, right.element) : mine > others
    }
    let title = Metric.device(metric).title
    guard !changed.isEmpty else {
      return """
        <h3>\(title)</h3><p class="good">\(found.isEmpty ? "No report has this list." : "None of the \(grouped(found.count)) came or went, and the profile allows them.")</p>
        """
    }
    let rows = changed.prefix(Self.maximumRows).map { entry -> HTML in
      """
      <tr><th scope="row">\(label(entry.element))</th><td class="text">\(entry.violated.map { "violates \($0)" } ?? "allowed")</td>\
      <td>\(grouped(entry.things))</td><td>\(grouped(entry.came))</td><td>\(grouped(entry.went))</td>\
      <td>\(Stamp(entry.first).short)</td><td>\(Stamp(entry.last).short)</td></tr>
      """
    }
    let rest = changed.count - rows.count
    let steady = found.count - changed.count
    var notes: [String] = []
    if rest > 0 { notes.append("\(grouped(rest)) more came or went and aren't listed.") }
    if steady > 0 {
      notes.append("\(grouped(steady)) more were present throughout, and the profile allows them.")
    }
    return """
      <h3>\(title)</h3><div class="table">\(
        table(
          "\(title) that came and went",
          [
            .text("Element"), .text("Profile"), .number("Things"), .number("Came"), .number("Went"),
            .number("First seen"), .number("Last seen"),
          ], rows))</div>\
      <p class="more">\(notes.joined(separator: " "))</p>
      """
  }
}
