package import DeviceDefender

/// The value of one metric at one time.
package enum Datapoint: Equatable, Sendable {
  case count(UInt64)
  case number(Double)
  case ports([UInt16])
  case addresses(AddressList)
  case numbers([Double])
  case strings([String])
}

/// The datapoints of one report or snapshot of one thing.
package struct Observation: Equatable, Sendable {
  package var thing: String
  package var reportID: UInt64
  /// The time in milliseconds since the epoch.
  package var time: UInt64
  /// The datapoints by slot: first those of ``DeviceMetric``, then the custom metrics of a ``MetricTable``.
  package var datapoints: [Datapoint?]
  /// The custom metrics without a slot; empty unless the table has ``MetricTable/includesAllCustomMetrics``.
  package var otherMetrics: [CustomDatapoint] = []

  /// Creates an observation without datapoints.
  package init(thing: String, reportID: UInt64, time: UInt64, table: MetricTable) {
    self.init(
      thing: thing, reportID: reportID, time: time,
      datapoints: Array(repeating: nil, count: table.slotCount))
  }

  init(thing: String, reportID: UInt64, time: UInt64, datapoints: [Datapoint?]) {
    self.thing = thing
    self.reportID = reportID
    self.time = time
    self.datapoints = datapoints
  }

  /// Sets the datapoint of a metric. Does nothing if no behavior needs the metric.
  package mutating func set(_ metric: DeviceMetric, _ datapoint: Datapoint) {
    datapoints[metric.slot] = datapoint
  }
}

/// A custom metric that no behavior names.
package struct CustomDatapoint: Equatable, Sendable {
  package let name: String
  package let datapoint: Datapoint
}

/// The metrics that behaviors need, so that reading skips the others.
package struct MetricTable: Equatable, Sendable {
  static let deviceSlots = DeviceMetric.allCases.count

  /// The custom metrics in the order of their slots.
  private(set) var customNames: [String] = []
  private var customSlots: [String: Int] = [:]
  /// Whether a behavior needs each metric.
  private var needed: [Bool]
  /// Whether reports are read for all custom metrics, not only for those with a slot.
  private(set) var includesAllCustomMetrics = false

  /// The table of a reader that needs every metric, whatever its name.
  package static let ofAllMetrics: MetricTable = {
    var table = MetricTable()
    for metric in DeviceMetric.allCases { _ = table.insert(.device(metric)) }
    table.includesAllCustomMetrics = true
    return table
  }()

  init() { needed = Array(repeating: false, count: Self.deviceSlots) }

  var slotCount: Int { Self.deviceSlots + customNames.count }

  /// Returns the slot of a metric, and marks the metric as needed.
  mutating func insert(_ metric: Metric) -> Int {
    switch metric {
    case .device(let metric):
      needed[metric.slot] = true
      return metric.slot
    case .custom(let name):
      if let slot = customSlots[name] { return slot }
      let slot = slotCount
      customNames.append(name)
      customSlots[name] = slot
      return slot
    }
  }

  package func needs(_ metric: DeviceMetric) -> Bool { needed[metric.slot] }

  func slot(ofCustom name: String) -> Int? { customSlots[name] }

  /// Returns the position of a metric's datapoint in an ``Observation``; nil for a custom metric that no behavior needs.
  package func slot(of metric: Metric) -> Int? {
    switch metric {
    case .device(let metric): metric.slot
    case .custom(let name): slot(ofCustom: name)
    }
  }

  /// The table with all device-side metrics, in the same slots.
  package var withDeviceMetrics: MetricTable {
    var table = self
    table.needed = Array(repeating: true, count: Self.deviceSlots)
    return table
  }
}

extension Observation {
  /// The datapoints of a snapshot on the device.
  ///
  /// `traffic` is the traffic since the last evaluated snapshot; nil if there was none. A list comes from the complete sets of
  /// the snapshot, or from its sample if the snapshot has no complete set of it.
  package init(
    of snapshot: MetricsSnapshot, traffic: Traffic?, customMetrics: [CustomMetric], thing: String,
    reportID: UInt64, time: UInt64, table: MetricTable
  ) {
    self.init(thing: thing, reportID: reportID, time: time, table: table)
    if let traffic {
      set(.bytesIn, .count(traffic.bytesIn))
      set(.bytesOut, .count(traffic.bytesOut))
      set(.packetsIn, .count(traffic.packetsIn))
      set(.packetsOut, .count(traffic.packetsOut))
    }
    if case .success(let listing) = snapshot.listeningTCPPorts {
      set(.listeningTCPPortCount, .count(UInt64(clamping: listing.total)))
      setPorts(.listeningTCPPorts, listing, complete: snapshot.completeSets?.listeningTCPPorts, table)
    }
    if case .success(let listing) = snapshot.listeningUDPPorts {
      set(.listeningUDPPortCount, .count(UInt64(clamping: listing.total)))
      setPorts(.listeningUDPPorts, listing, complete: snapshot.completeSets?.listeningUDPPorts, table)
    }
    if case .success(let listing) = snapshot.establishedConnections {
      set(.establishedConnectionCount, .count(UInt64(clamping: listing.total)))
      if table.needs(.destinations) {
        var addresses = snapshot.completeSets?.destinations
        if addresses == nil {
          var list = AddressList()
          list.reserveCapacity(listing.sample.count)
          for connection in listing.sample { list.append(connection.remoteAddress.address) }
          addresses = list
        }
        if let addresses { set(.destinations, .addresses(addresses)) }
      }
    }
    for metric in customMetrics {
      guard let slot = table.slot(ofCustom: metric.name.text) else { continue }
      datapoints[slot] = Datapoint(metric.value)
    }
  }

  private mutating func setPorts(
    _ metric: DeviceMetric, _ listing: Listing<ListeningPort>, complete: [UInt16]?, _ table: MetricTable
  ) {
    guard table.needs(metric) else { return }
    set(metric, .ports(complete ?? listing.sample.map(\.port)))
  }
}

extension Observation {
  /// Whether a list has fewer entries than its total. Lists that no behavior needs aren't read, so they don't count.
  package var hasSample: Bool {
    isSample(.listeningTCPPorts, of: .listeningTCPPortCount)
      || isSample(.listeningUDPPorts, of: .listeningUDPPortCount)
      || isSample(.destinations, of: .establishedConnectionCount)
  }

  private func isSample(_ list: DeviceMetric, of total: DeviceMetric) -> Bool {
    guard case .count(let total)? = datapoints[total.slot] else { return false }
    return switch datapoints[list.slot] {
    case .ports(let ports): UInt64(ports.count) < total
    case .addresses(let addresses): UInt64(addresses.v4.count + addresses.v6.count) < total
    default: false
    }
  }
}

extension Datapoint {
  init(_ value: CustomMetricValue) {
    switch value {
    case .number(let number): self = .number(number)
    case .numberList(let numbers): self = .numbers(numbers)
    case .stringList(let strings): self = .strings(strings)
    case .ipList(let texts):
      var list = AddressList()
      for text in texts { if let address = IPAddress(parsing: text) { list.append(address) } }
      self = .addresses(list)
    }
  }
}

extension CompleteSets.Selection {
  /// Selects the lists that the behaviors of `evaluator` need.
  package init(neededBy evaluator: Evaluator) {
    self.init()
    listeningTCPPorts = evaluator.table.needs(.listeningTCPPorts)
    listeningUDPPorts = evaluator.table.needs(.listeningUDPPorts)
    destinations = evaluator.table.needs(.destinations)
  }
}
