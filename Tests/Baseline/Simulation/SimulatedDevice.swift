import Glibc

/// The values of one report: what a device sends and receives in 300 s, and its ports and connections.
struct Values {
  var bytesIn = 0.0
  var bytesOut = 0.0
  var packetsIn = 0.0
  var packetsOut = 0.0
  var tcpPorts = 0.0
  var udpPorts = 0.0
  var connections = 0.0
}

/// How a simulated device's load changes with time.
enum DeviceKind: String, CaseIterable {
  /// A sine over the day, with 2 to 32 times as much traffic at its peak as at its lowest.
  case diurnal
  /// 20 times as much traffic in office hours, which begin and end at another minute each day.
  case weekly
  /// Uploads of about 16 times the usual traffic, of one or two reports, at random times: 2 to 14 a day. A backup at about the same
  /// hour each day.
  case bursty
  /// Almost nothing but keep-alives, and an update of 2 MB at a random time each day.
  case idle
}

/// A simulated device, which reports every 300 s. One report in 100 is lost.
struct SimulatedDevice {
  static let reportsPerDay = 288

  private var noise: Noise
  private let kind: DeviceKind
  private let base: Double
  private let packetSize: Double
  private let answerRatio: Double
  private let spread: Double
  private let amplitude: Double
  private let phase: Double
  private let usualConnections: Double
  private let tcpPorts: Double
  private let udpPorts: Double
  private let burstChance: Double
  private let backupHour: Double
  private let firstDay: Int
  // The state between two reports.
  private var level = 0.0
  private var burst = (remaining: 0, size: 0.0)
  private var officeDelay = 0.0
  private var update = 0
  private var backup = 0

  init(_ kind: DeviceKind, seed: UInt64) {
    self.kind = kind
    var noise = Noise(seed: seed)
    base = exp2(noise.uniform(13...18))
    packetSize = noise.uniform(150...900)
    answerRatio = exp2(noise.uniform(-2...2))
    spread = noise.uniform(0.2...0.6)
    amplitude = noise.uniform(0.5...2.5)
    phase = noise.uniform(0...24)
    usualConnections = noise.uniform(2...20)
    tcpPorts = Double(noise.integer(2...8))
    udpPorts = Double(noise.integer(1...6))
    burstChance = 1 / noise.uniform(20...120)
    backupHour = noise.uniform(0...24)
    firstDay = noise.integer(0...6)
    self.noise = noise
  }

  /// Returns the reports of `days` days; nil for a lost one.
  mutating func reports(days: Int) -> [Values?] {
    (0..<days * Self.reportsPerDay).map { number in
      let values = values(number)
      return noise.chance(0.01) ? nil : values
    }
  }

  private mutating func values(_ number: Int) -> Values {
    let ofDay = number % Self.reportsPerDay
    if ofDay == 0 {
      officeDelay = 0.4 * noise.normal()
      update = noise.integer(0...Self.reportsPerDay - 1)
      let minute = Int((backupHour + 0.3 * noise.normal()) * 12)
      backup = (minute + Self.reportsPerDay) % Self.reportsPerDay
    }
    level = 0.8 * level + 0.6 * noise.normal()
    var values = kind == .idle ? idle(ofDay, isHourly: number % 12 == 0) : busy(octaves(number))
    values.tcpPorts = tcpPorts + (noise.chance(0.01) ? Double(noise.integer(1...3)) : 0)
    values.udpPorts = udpPorts + noise.events(mean: 0.5)
    return values
  }

  /// The load relative to the lowest usual one, in octaves.
  private mutating func octaves(_ number: Int) -> Double {
    let ofDay = number % Self.reportsPerDay
    let hour = Double(ofDay) / 12
    switch kind {
    case .diurnal: return amplitude * sin((hour - phase) / 24 * 2 * .pi)
    case .weekly:
      let isWorkday = (number / Self.reportsPerDay + firstDay) % 7 < 5
      return isWorkday && (8 + officeDelay..<18 + officeDelay).contains(hour) ? 4.3 : 0
    case .bursty:
      var octaves = 0.0
      if burst.remaining > 0 {
        burst.remaining -= 1
        octaves = burst.size
      } else if noise.chance(burstChance) {
        burst = (noise.chance(1 / 3) ? 1 : 0, max(1, 4 + noise.normal()))
        octaves = burst.size
      }
      return (backup..<backup + 2).contains(ofDay) ? max(octaves, 6) : octaves
    case .idle: return 0
    }
  }

  private mutating func busy(_ octaves: Double) -> Values {
    var values = Values()
    values.bytesOut = base * exp2(octaves + spread * level)
    values.bytesIn = values.bytesOut * answerRatio * exp2(0.2 * noise.normal())
    values.packetsOut = values.bytesOut / packetSize
    values.packetsIn = values.bytesIn / packetSize * exp2(0.1 * noise.normal())
    values.connections = noise.events(mean: usualConnections * exp2(0.35 * octaves))
    return values
  }

  private mutating func idle(_ ofDay: Int, isHourly: Bool) -> Values {
    var values = Values()
    let keepAlives = noise.events(mean: 1.5) + (isHourly ? 8 : 0)
    let download = ofDay == update ? 2_000_000 * exp2(0.3 * noise.normal()) : 0
    values.bytesIn = keepAlives * 80 + download
    values.bytesOut = keepAlives * 70 + download * 0.03
    values.packetsIn = keepAlives + download / 900
    values.packetsOut = keepAlives + download / 2_000
    values.connections = noise.chance(0.9) ? 1 : Double(noise.integer(0...2))
    return values
  }
}
