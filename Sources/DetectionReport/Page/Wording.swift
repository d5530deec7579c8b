import Detection
import DeviceDefender
import Platform

/// Returns a number with its thousands separated: `4,096`.
func grouped(_ number: some BinaryInteger) -> String {
  let digits = String(number)
  var text = ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0, digits.first != "-" || index > 1 { text += "," }
    text.append(digit)
  }
  return text
}

/// Returns a count and its noun: `1 report`, `2 reports`.
func counted(_ number: Int, _ noun: String) -> String {
  "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// Returns a duration in its two largest units: `5 min`, `1 h 5 min`, `2 d 3 h`.
func duration(_ seconds: UInt64) -> String {
  let units: [(UInt64, String)] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")]
  guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0 s" }
  let (size, name) = units[first]
  let rest = seconds % size
  guard first + 1 < units.count, rest >= units[first + 1].0 else { return "\(seconds / size) \(name)" }
  return "\(seconds / size) \(name) \(rest / units[first + 1].0) \(units[first + 1].1)"
}

/// A time in UTC, as text.
struct Stamp {
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
  private let civil: CivilTime

  /// `seconds` is the time since the epoch.
  init(_ seconds: UInt64) { civil = CivilTime(secondsSinceEpoch: Int64(clamping: seconds)) }

  /// `19:05`.
  var clock: String { "\(Self.padded(civil.hour)):\(Self.padded(civil.minute))" }
  /// `23 Nov`.
  var day: String { "\(civil.day) \(Self.months[min(max(civil.month - 1, 0), 11)])" }
  /// `23 Nov 2026`.
  var date: String { "\(day) \(civil.year)" }
  /// `23 Nov 19:05`.
  var short: String { "\(day) \(clock)" }
  /// The time for the attribute `datetime`.
  var machine: String { civil.extendedFormat }

  private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// The unit of a counter.
enum Unit {
  case bytes, packets, ports, connections, none

  init(_ metric: Metric) {
    switch metric {
    case .device(.bytesIn), .device(.bytesOut): self = .bytes
    case .device(.packetsIn), .device(.packetsOut): self = .packets
    case .device(.establishedConnectionCount): self = .connections
    case .device: self = .ports
    case .custom: self = .none
    }
  }

  var name: String {
    switch self {
    case .bytes: "bytes"
    case .packets: "packets"
    case .ports: "ports"
    case .connections: "connections"
    case .none: ""
    }
  }

  /// Returns a value as a label of an axis, without its unit, which is above the axis.
  func axisText(_ value: Double) -> String { self == .bytes ? text(value) : shortNumber(value) }

  /// Returns a value with its unit: `6 kB`, `4,096 B`, `12 ports`.
  func text(_ value: Double) -> String {
    let number = shortNumber(value)
    switch self {
    case .bytes: return number.last?.isLetter == true ? "\(number)B" : "\(number) B"
    case .none: return number
    default: return "\(number) \(name)"
    }
  }
}

/// Returns a number in at most five digits: `4,096`, `61.2 k`, `1.5 M`, `0.25`. An infinite number is one that `Float` can't represent.
func shortNumber(_ value: Double) -> String {
  guard value.isFinite else { return value > 0 ? "> 3.4e38" : "< −3.4e38" }
  if value < 0 { return "−\(shortNumber(-value))" }
  if value < 10_000 {
    if value == value.rounded() { return grouped(Int(value)) }
    if value < 0.01 { return "\(value)" }
    return trimmed(value, decimals: value < 1 ? 3 : value < 100 ? 2 : 1)
  }
  var scaled = value
  for prefix in ["k", "M", "G", "T", "P", "E"] {
    scaled /= 1_000
    if scaled < 999.5 || prefix == "E" {
      if scaled > 1e9 { return "\(value)" }
      return "\(trimmed(scaled, decimals: scaled < 10 ? 2 : scaled < 100 ? 1 : 0)) \(prefix)"
    }
  }
  return "\(value)"
}

private func trimmed(_ value: Double, decimals: Int) -> String {
  var scale = 1
  for _ in 0..<decimals { scale *= 10 }
  let number = Int((value * Double(scale)).rounded())
  var fraction = String(number % scale + scale).dropFirst()
  while fraction.last == "0" { fraction = fraction.dropLast() }
  return grouped(number / scale) + (fraction.isEmpty ? "" : ".\(fraction)")
}

extension Metric {
  /// The metric's name for people.
  var title: String {
    switch self {
    case .device(.bytesIn): "Bytes in"
    case .device(.bytesOut): "Bytes out"
    case .device(.packetsIn): "Packets in"
    case .device(.packetsOut): "Packets out"
    case .device(.listeningTCPPortCount): "Number of listening TCP ports"
    case .device(.listeningUDPPortCount): "Number of listening UDP ports"
    case .device(.establishedConnectionCount): "Established TCP connections"
    case .device(.listeningTCPPorts): "Listening TCP ports"
    case .device(.listeningUDPPorts): "Listening UDP ports"
    case .device(.destinations): "Destinations"
    case .custom(let name): name
    }
  }
}

extension Behavior {
  private static let maximumMembers = 8

  /// What is normal, such as `≤ 4,096 B in 5 min`.
  var norm: String {
    let per = criteria.durationSeconds.map { " in \(duration($0))" } ?? ""
    let unit = Unit(metric)
    let comparison = criteria.comparisonOperator
    switch criteria.threshold {
    case .value(.count(let count)): return "\(comparison?.sign ?? "") \(unit.text(Double(count)))\(per)"
    case .value(.number(let number)): return "\(comparison?.sign ?? "") \(unit.text(number))\(per)"
    case .value(.ports(let ports)): return set(ports.map { "\($0)" })
    case .value(.cidrs(let cidrs)): return set(cidrs.map { "\($0)" })
    case .value(.numbers(let numbers)): return set(numbers.map { shortNumber($0) })
    case .value(.strings(let strings)): return set(strings.map { shortened($0, to: 40) })
    case .statistical(let statistic): return "\(comparison?.sign ?? "") \(statistic) of all things\(per)"
    case .machineLearning(let level): return "learned baseline, confidence \(level)\(per)"
    }
  }

  private func set(_ members: [String]) -> String {
    let listed = members.prefix(Self.maximumMembers).joined(separator: ", ")
    let rest = members.count - Self.maximumMembers
    let text = rest > 0 ? "\(listed) and \(grouped(rest)) more" : listed
    if criteria.comparisonOperator?.requiresMembers == true {
      return members.isEmpty ? "none" : "only \(text)"
    }
    return members.isEmpty ? "any" : "not \(text)"
  }

  /// The fixed bound with which a counter is compared; nil if there is none.
  var bound: Double? {
    switch criteria.threshold {
    case .value(.count(let count)): Double(count)
    case .value(.number(let number)): number
    default: nil
    }
  }
}

extension ComparisonOperator {
  /// The operator as a sign, such as `≤`; empty for sets.
  var sign: String {
    switch self {
    case .lessThan: "<"
    case .lessThanEquals: "≤"
    case .greaterThan: ">"
    case .greaterThanEquals: "≥"
    default: ""
    }
  }
}
