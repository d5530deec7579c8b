import Platform
package import WireFormats

/// The state that survives a restart: the id of the last report, the baseline, and whether Device Defender
/// answers.
package struct SavedState: Equatable, Sendable {
  /// Saved before a report with this id is published, so that no later process can use it again.
  package var lastReportID: UInt64
  package var baseline: Baseline?
  /// The thing whose reports Device Defender has answered at least once; nil if it never has.
  package var answeredThing: String?
  /// The baseline that includes the report ``lastReportID``. It replaces ``baseline`` if that report is in the spool.
  ///
  /// Saved before the report is added to the spool. So after a crash, this baseline applies if the report's file exists, and
  /// ``baseline`` if it doesn't.
  package var baselineIfSpooled: Baseline?

  package init(lastReportID: UInt64 = 0, baseline: Baseline? = nil, answeredThing: String? = nil) {
    self.lastReportID = lastReportID
    self.baseline = baseline
    self.answeredThing = answeredThing
  }
}

/// Identifies the counters that a baseline was read from. They change with a boot and between network
/// namespaces.
package struct CounterOrigin: Equatable, Sendable {
  package var bootID: String
  /// The inode number of the namespace's `net/dev`: each namespace has its own.
  package var networkNamespace: UInt64
  package var procfs: String

  package init(bootID: String, networkNamespace: UInt64, procfs: String) {
    self.bootID = bootID
    self.networkNamespace = networkNamespace
    self.procfs = procfs
  }
}

/// Why a saved state can't be used.
package enum SavedStateError: Error, Equatable, Sendable, CustomStringConvertible {
  case notJSON(JSONError)
  case member(String)
  case version(String)
  /// The last report id is beyond `largest`, the largest one that is plausible now.
  case reportID(UInt64, largest: UInt64)

  package var description: String {
    switch self {
    case .notJSON(let error): "\(error)"
    case .member(let name): "the member '\(name)' is missing or malformed"
    case .version(let text): "it has version \(text), but this program supports version \(SavedState.version)"
    case .reportID(let id, let largest):
      "its last_report_id is \(id), more than ten years ahead of the clock; the largest plausible id is \(largest)"
    }
  }
}

extension SavedState {
  static let version: UInt64 = 1

  /// Returns the state in its file format.
  package func encoded(_ origin: CounterOrigin) -> [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 8)
    document.member("version", Self.version)
    document.member("last_report_id", lastReportID)
    document.member("boot_id", origin.bootID)
    document.member("network_namespace", origin.networkNamespace)
    document.member("procfs", origin.procfs)
    if let answeredThing { document.member("answered_thing", answeredThing) }
    baseline?.write(to: &document)
    if let baselineIfSpooled {
      document.key("baseline_if_spooled")
      document.beginMap(count: 3)
      baselineIfSpooled.write(to: &document)
      document.endMap()
    }
    document.endMap()
    return document.bytes + [UInt8(ascii: "\n")]
  }

  /// Parses a saved state, and the origin of its counters.
  package static func decode(_ bytes: [UInt8]) throws(SavedStateError) -> (SavedState, CounterOrigin) {
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue(parsing: bytes)
    } catch {
      throw .notJSON(error)
    }
    guard let version: UInt64 = json["version"]?.integer() else { throw .member("version") }
    guard version == Self.version else { throw .version("\(version)") }
    guard let bootID = json["boot_id"]?.string else { throw .member("boot_id") }
    guard let namespace: UInt64 = json["network_namespace"]?.integer() else {
      throw .member("network_namespace")
    }
    guard let procfs = json["procfs"]?.string else { throw .member("procfs") }
    guard let lastReportID: UInt64 = json["last_report_id"]?.integer() else {
      throw .member("last_report_id")
    }
    let origin = CounterOrigin(bootID: bootID, networkNamespace: namespace, procfs: procfs)
    var state = SavedState(
      lastReportID: lastReportID, baseline: try Baseline.decode(json),
      answeredThing: json["answered_thing"]?.string)
    if let other = json["baseline_if_spooled"] { state.baselineIfSpooled = try Baseline.decode(other) }
    return (state, origin)
  }
}

extension Baseline {
  fileprivate func write(to document: inout JSONWriter) {
    if let counters = networkCounters {
      document.key("interfaces")
      document.beginList(count: counters.interfaces.count)
      for interface in counters.interfaces { interface.write(to: &document) }
      document.endList()
      if counters.isPartial {
        document.key("interfaces_are_partial")
        document.boolean(true)
      }
    }
    if let times = processorTimes {
      document.key("processor_times")
      document.beginList(count: times.columns.count)
      for column in times.columns { document.integer(column) }
      document.endList()
    }
  }

  /// Parses the members that ``write(to:)`` writes; nil if there are none.
  fileprivate static func decode(_ json: JSONValue) throws(SavedStateError) -> Baseline? {
    var baseline: Baseline?
    if let interfaces = json["interfaces"] {
      guard let list = interfaces.array else { throw .member("interfaces") }
      // Files without this member were written as if the list were complete.
      guard let isPartial = (json["interfaces_are_partial"] ?? .boolean(false)).boolean else {
        throw .member("interfaces_are_partial")
      }
      var counters = NetworkCounters(isPartial: isPartial)
      for entry in list { counters.interfaces.append(try InterfaceCounters(entry)) }
      baseline = Baseline()
      baseline?.networkCounters = counters
    }
    if let times = json["processor_times"] {
      let columns = (times.array ?? []).compactMap { $0.integer(as: UInt64.self) }
      guard columns.count == ProcessorTimes().columns.count else { throw .member("processor_times") }
      baseline = baseline ?? Baseline()
      baseline?.processorTimes = ProcessorTimes(columns: columns)
    }
    return baseline
  }
}

extension InterfaceCounters {
  fileprivate func write(to document: inout JSONWriter) {
    document.beginMap(count: index == nil ? 5 : 6)
    document.member("name", name)
    if let index { document.member("index", UInt64(index)) }
    document.member("bytes_in", traffic.bytesIn)
    document.member("bytes_out", traffic.bytesOut)
    document.member("packets_in", traffic.packetsIn)
    document.member("packets_out", traffic.packetsOut)
    document.endMap()
  }

  fileprivate init(_ json: JSONValue) throws(SavedStateError) {
    guard
      let name = json["name"]?.string, let bytesIn: UInt64 = json["bytes_in"]?.integer(),
      let bytesOut: UInt64 = json["bytes_out"]?.integer(),
      let packetsIn: UInt64 = json["packets_in"]?.integer(),
      let packetsOut: UInt64 = json["packets_out"]?.integer()
    else { throw .member("interfaces") }
    var index: UInt32?
    if let number = json["index"] {
      guard let value: UInt32 = number.integer() else { throw .member("interfaces") }
      index = value
    }
    self.init(
      name: name, index: index,
      traffic: Traffic(bytesIn: bytesIn, bytesOut: bytesOut, packetsIn: packetsIn, packetsOut: packetsOut))
  }
}
