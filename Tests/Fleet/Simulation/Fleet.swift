import DefenderAgent
package import Platform

/// A scenario for a fleet: its devices, the quotas, and what happens when.
package struct Scenario: Sendable {
  package var name: String
  package var devices = 1_000_000
  package var duration = Duration.seconds(2_400)
  package var quotas = Service.Quotas()
  package var settings = Device.Settings()
  /// The time between the start of the first device and that of the last one.
  package var startWithin = Duration.zero
  /// The time at which all devices restart; nil if they don't.
  package var restart: Duration?
  /// The time in which the endpoint refuses connections, after it has closed the existing ones.
  package var outage: Range<Duration>?
  /// Whether the accepted reports are evaluated against a security profile, which some devices violate.
  package var detects = false

  package init(_ name: String) {
    self.name = name
  }

  /// Returns the scenario with fewer devices, and with quotas reduced in proportion.
  package func scaled(to devices: Int) -> Scenario {
    var scenario = self
    let factor = Double(devices) / 1_000_000
    scenario.devices = Int(Double(self.devices) * factor)
    scenario.quotas.reports *= factor
    scenario.quotas.connects *= factor
    return scenario
  }
}

/// The number of events that the service observed in each second.
package struct Arrivals: Sendable {
  package var reports: [Int]
  package var refusedConnections: [Int]
  package var throttled: [Int]
  /// The number of devices without an accepted report in the second half of the simulation.
  package var silent = 0
  /// The time after the outage or the restart until 999 of 1,000 devices had a report accepted; nil if that didn't
  /// happen.
  package var recovery: Duration?
  /// The alarms by behavior, and the number of evaluated reports; none unless ``Scenario/detects`` is set.
  package var alarms: [String: AlarmCounts] = [:]
  package var evaluatedReports = 0

  init(seconds: Int) {
    reports = [Int](repeating: 0, count: seconds)
    refusedConnections = reports
    throttled = reports
  }
}

/// Devices on a virtual clock, which run in chronological order.
package struct Fleet {
  /// The length of a time slot; devices are grouped by the slot in which they are due. With a single heap of a million
  /// devices, each step would miss the cache.
  private static let slotNanoseconds: Int64 = 250_000_000

  private let scenario: Scenario
  private var service: Service
  private var devices: [Device]
  private var slots: [[Due]]
  private var arrivals: Arrivals
  private var recoveryTimes: [Int]
  private var detection: SimulatedDetection?

  package init(_ scenario: Scenario) {
    self.scenario = scenario
    let outage = scenario.outage.map { moment($0.lowerBound)..<moment($0.upperBound) }
    service = Service(scenario.quotas, outage: outage)
    let seconds = Int(scenario.duration.components.seconds)
    arrivals = Arrivals(seconds: seconds)
    recoveryTimes = [Int](repeating: 0, count: seconds)
    slots = [[Due]](repeating: [], count: seconds * 4)
    detection = scenario.detects ? SimulatedDetection() : nil
    let settings = scenario.settings
    let within = scenario.startWithin
    let count = scenario.devices
    let numbers = (0..<count).map { (slotOffset(in: settings.interval, thing: thingName($0)), $0) }
    // Devices that are due in succession are adjacent in memory, for the sake of the caches.
    devices = numbers.sorted(by: <).map { _, number in
      Device(
        thingName(number), number: number, start: moment(within * (Double(number) / Double(count))), settings)
    }
    for index in devices.indices { enter(UInt32(index)) }
  }

  package mutating func run() -> Arrivals {
    for slot in slots.indices {
      let start = BootTime(nanosecondsSinceBoot: Int64(slot) * Self.slotNanoseconds)
      disturb(at: start)
      var due = DueDevices(slots[slot])
      slots[slot] = []
      while let index = due.popFirst() {
        runDevice(Int(index))
        let wake = devices[Int(index)].wake
        if self.slot(of: wake) == slot {
          due.insert(Due(nanoseconds: wake.nanosecondsSinceBoot, index: index))
        } else {
          enter(index)
        }
      }
    }
    finish()
    return arrivals
  }

  private mutating func disturb(at now: BootTime) {
    if let restart = scenario.restart, now == moment(restart) {
      for slot in slots.indices { slots[slot] = [] }
      for index in devices.indices {
        devices[index].restart(at: now, scenario.settings)
        enter(UInt32(index))
      }
    }
    if let outage = scenario.outage, now == moment(outage.lowerBound) {
      for index in devices.indices { devices[index].loseConnection() }
    }
  }

  private mutating func runDevice(_ index: Int) {
    let before = devices[index].lastAccepted
    let end = scenario.outage?.upperBound ?? scenario.restart
    var acceptedAt: BootTime?
    devices[index].run(scenario.settings, &service) { event, now in
      let second = Int(now.nanosecondsSinceBoot / 1_000_000_000)
      switch event {
      case .started: break
      case .refusedConnection: arrivals.refusedConnections[second] += 1
      case .report(let answer):
        arrivals.reports[second] += 1
        if answer == .throttled { arrivals.throttled[second] += 1 }
        if answer == .accepted { acceptedAt = now }
        if answer == .accepted, let end, now >= moment(end), before.map({ $0 < moment(end) }) ?? true {
          recoveryTimes[second] += 1
        }
      }
    }
    if let acceptedAt {
      detection?.evaluate(devices[index].name, devices[index].number, at: acceptedAt, since: before)
    }
  }

  private mutating func finish() {
    arrivals.alarms = detection?.alarms ?? [:]
    arrivals.evaluatedReports = detection?.reports ?? 0
    let middle = moment(scenario.duration / 2)
    arrivals.silent = devices.count { ($0.lastAccepted ?? moment(.zero)) < middle }
    guard let end = scenario.outage?.upperBound ?? scenario.restart else { return }
    var accepted = 0
    for (second, count) in recoveryTimes.enumerated() {
      accepted += count
      if accepted >= devices.count - devices.count / 1_000 {
        arrivals.recovery = .seconds(second + 1) - end
        return
      }
    }
  }

  private mutating func enter(_ index: UInt32) {
    let wake = devices[Int(index)].wake
    let slot = slot(of: wake)
    guard slots.indices.contains(slot) else { return }
    slots[slot].append(Due(nanoseconds: wake.nanosecondsSinceBoot, index: index))
  }

  private func slot(of time: BootTime) -> Int { Int(time.nanosecondsSinceBoot / Self.slotNanoseconds) }
}

private func thingName(_ number: Int) -> String { "device-\(number)" }

/// Returns the given time on the virtual clock.
package func moment(_ time: Duration) -> BootTime { BootTime(nanosecondsSinceBoot: 0).advanced(by: time) }

/// Returns the date and time that corresponds to a time on the virtual clock.
package func wallTime(_ moment: BootTime) -> WallTime {
  WallTime(secondsSinceEpoch: 1_700_000_000).advanced(by: .nanoseconds(moment.nanosecondsSinceBoot))
}

/// A device and when it is due.
private struct Due: Comparable {
  let nanoseconds: Int64
  let index: UInt32

  static func < (left: Due, right: Due) -> Bool {
    left.nanoseconds == right.nanoseconds
      ? left.index < right.index : left.nanoseconds < right.nanoseconds
  }
}

/// Devices in the order in which they are due, and by index if they are due at the same time.
private struct DueDevices {
  private let sorted: [Due]
  private var position = 0
  /// The few devices that were inserted later, in reverse order.
  private var inserted: [Due] = []

  init(_ devices: [Due]) {
    sorted = devices.sorted()
  }

  mutating func insert(_ device: Due) {
    inserted.insert(device, at: inserted.firstIndex { $0 < device } ?? inserted.endIndex)
  }

  mutating func popFirst() -> UInt32? {
    let next = position < sorted.count ? sorted[position] : nil
    if let first = inserted.last, next.map({ first < $0 }) ?? true {
      inserted.removeLast()
      return first.index
    }
    position += 1
    return next?.index
  }
}
