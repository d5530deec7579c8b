/// The Markdown tables of the measurement, and its bounds.
struct Table {
  private let kinds: [DeviceKind: Observed]
  private var all = Observed()

  init(_ kinds: [DeviceKind: Observed]) {
    self.kinds = kinds
    for observed in kinds.values { all.add(observed) }
  }

  private var columns: [Observed] { DeviceKind.allCases.map { kinds[$0] ?? Observed() } + [all] }

  var text: String {
    let names = DeviceKind.allCases.map(\.rawValue) + ["all"]
    var rows = [["", ""] + names]
    for level in levels {
      rows.append(["false alarms", level] + columns.map { decimals($0.falseAlarms(level)) })
    }
    for attack in Attack.allCases {
      rows.append(
        ["found: \(attack.description)", "HIGH"] + columns.map { percent($0.share([attack], "HIGH")) })
    }
    for level in levels {
      rows.append(
        ["found: all but the 10 and 5 times", level]
          + columns.map { percent($0.share(Attack.bounded, level)) })
    }
    let lines = rows.map { "| \($0.joined(separator: " | ")) |\n" }
    let rule = "|" + String(repeating: "---|", count: names.count + 2) + "\n"
    return lines[0] + rule + lines.dropFirst().joined() + "\n\(delays)\n"
  }

  private var delays: String {
    let counts = all.delays(Attack.bounded, "HIGH")
    let sum = max(1, counts.reduce(0, +))
    let shares = counts.map { percent(Double($0) / Double(sum)) }
    return
      "Devices of each kind: \((kinds[.idle] ?? all).devices). Of the attacks found with HIGH, \(shares[0]) were found in their "
      + "first report, \(shares[1]) in the second, \(shares[2]) in the third."
  }

  /// What the documentation promises and the measurement breaks.
  var broken: [String] {
    var broken: [String] = []
    func expect(_ promise: String, _ holds: Bool) { if !holds { broken.append(promise) } }
    for (kind, observed) in kinds {
      let name = kind.rawValue
      expect(
        "HIGH raises at most one false alarm per device and 30 days, \(name)",
        observed.falseAlarms("HIGH") <= 1)
      expect(
        "HIGH finds 90 % of the attacks within three reports, \(name)",
        observed.share(Attack.bounded, "HIGH") >= 0.9)
      for (lower, higher) in [("LOW", "MEDIUM"), ("MEDIUM", "HIGH")] {
        expect(
          "\(higher) raises no more alarms than \(lower), \(name)",
          observed.falseAlarms(higher) <= observed.falseAlarms(lower))
        expect(
          "\(lower) finds no less than \(higher), \(name)",
          observed.share(Attack.bounded, lower) >= observed.share(Attack.bounded, higher))
      }
    }
    expect("HIGH finds 95 % of the attacks within three reports", all.share(Attack.bounded, "HIGH") >= 0.95)
    return broken.sorted()
  }

  private func percent(_ share: Double) -> String { "\(decimal(share * 100, 1)) %" }

  private func decimals(_ value: Double) -> String { decimal(value, 2) }

  private func decimal(_ value: Double, _ digits: Int) -> String {
    let factor = digits == 1 ? 10 : 100
    let scaled = Int((value * Double(factor)).rounded())
    let fraction = String(scaled % factor)
    return "\(scaled / factor)." + String(repeating: "0", count: digits - fraction.count) + fraction
  }
}
