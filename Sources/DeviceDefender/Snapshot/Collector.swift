package import Platform
import WireFormats

/// Reads the machine's network metrics. One collector lives as long as the process.
///
/// Its buffers (32 to 64 KiB) are freed between snapshots: snapshots are minutes apart, and the whole process
/// has 1 MiB.
package struct Collector: ~Copyable {
  /// The number of entries that a list keeps by default.
  package static let defaultListSize = 50

  private let configuredProcfs: ProcRoot
  /// `configuredProcfs` with links resolved, once for each snapshot.
  private var procfs: ProcRoot
  private let asksKernel: Bool
  private let log: Log
  private let fixedNames: InterfaceNames?
  /// The kernel's netlink interface. It serves all tables if `procfs` is this system's own, otherwise only
  /// addresses.
  private var kernel: KernelTables
  private var reader = LineReader()
  private var tcpSockets: TCPSockets
  private var udpSockets: UDPSockets
  private let systemMetrics: [SystemMetric]
  private let command: MetricsCommand?
  /// Interrupts the waits of a snapshot.
  package var shutdownSignal: ShutdownSignal?
  /// The lists that snapshots keep complete, for an evaluator of security profiles.
  package var completeSets = CompleteSets.Selection() {
    didSet {
      tcpSockets.keepsDestinations = completeSets.destinations
      tcpSockets.keepsListening = completeSets.listeningTCPPorts
      udpSockets.keepsBound = completeSets.listeningUDPPorts
    }
  }
  /// The sysfs directory of this system's temperature sensors.
  private let thermalZones: String
  /// Remembers which sources this machine doesn't measure.
  private let unmeasured: UnmeasuredSources

  /// Creates a collector for the system that `procfs` shows.
  ///
  /// - Parameters:
  ///   - procfs: the root of the proc file system. `/proc` means this system, which is read over netlink if
  ///     that is available. For any other root, its files are read.
  ///   - log: receives warnings about files and lines that can't be read.
  ///   - maximumListSize: the number of entries that a list keeps; a longer list is sampled.
  ///   - systemMetrics: the built-in metrics to read.
  ///   - command: a program that reports further custom metrics.
  ///   - interfaceNames: the interface of each address; if nil, every snapshot asks the system.
  ///   - generator: the source of randomness for samples.
  package init(
    procfs: ProcRoot, log: Log, maximumListSize: Int = defaultListSize,
    systemMetrics: [SystemMetric] = [], command: MetricsCommand? = nil,
    interfaceNames: InterfaceNames? = nil, generator: SeededGenerator = .seededBySystem()
  ) {
    self.init(
      procfs: procfs, kernel: KernelTables(log: log), log: log, maximumListSize: maximumListSize,
      systemMetrics: systemMetrics, command: command, interfaceNames: interfaceNames, generator: generator)
  }

  init(
    procfs: ProcRoot, kernel: consuming KernelTables, log: Log,
    maximumListSize: Int = defaultListSize, systemMetrics: [SystemMetric] = [],
    command: MetricsCommand? = nil, interfaceNames: InterfaceNames? = nil,
    thermalZones: String = SystemFiles.thermalZones, generator: SeededGenerator = .seededBySystem()
  ) {
    self.thermalZones = thermalZones
    configuredProcfs = procfs
    self.procfs = procfs
    asksKernel = procfs.isOfThisSystem
    self.kernel = kernel
    self.log = log
    fixedNames = interfaceNames
    self.systemMetrics = systemMetrics
    self.command = command
    unmeasured = UnmeasuredSources(log)
    var generator = generator
    tcpSockets = TCPSockets(limit: maximumListSize, generator: &generator)
    udpSockets = UDPSockets(limit: maximumListSize, generator: &generator)
  }

  /// Takes a snapshot. A block that can't be read is logged and missing.
  ///
  /// Waits for netlink, for a long file and for the metrics command end at `deadline`. The snapshot lacks the
  /// blocks that weren't complete by then.
  package mutating func snapshot(until deadline: BootTime = .distantFuture) -> MetricsSnapshot {
    kernel.deadline = deadline
    reader.deadline = deadline
    defer {
      kernel.freeBuffer()
      reader.freeBuffer()
    }
    var snapshot = MetricsSnapshot()
    procfs = configuredProcfs.resolved
    let directory = procfs.networkDirectory
    snapshot.networkCounters = block { collector throws(CollectionError) in
      if collector.asksKernel, let counters = collector.kernel.networkCounters() {
        return counters
      }
      return try collector.procfs.networkCounters(
        in: directory, with: &collector.reader, log: collector.log)
    }
    let tcp: Result<Void, CollectionError> = block { collector throws(CollectionError) in
      if collector.asksKernel, collector.kernel.readTCPSockets(into: &collector.tcpSockets) {
        return
      }
      collector.tcpSockets.reset()
      try collector.procfs.readTCPSockets(
        in: directory, into: &collector.tcpSockets, with: &collector.reader, log: collector.log)
    }
    let udp: Result<Void, CollectionError> = block { collector throws(CollectionError) in
      if collector.asksKernel, collector.kernel.readUDPSockets(into: &collector.udpSockets) {
        return
      }
      collector.udpSockets.reset()
      try collector.procfs.readUDPSockets(
        in: directory, into: &collector.udpSockets, with: &collector.reader, log: collector.log)
    }
    let names = interfaceNames(directory)
    snapshot.establishedConnections = tcp.map {
      tcpSockets.established.listing(names, EstablishedConnection.init)
    }
    snapshot.listeningTCPPorts = tcp.map { tcpSockets.listening.listing(names, ListeningPort.init) }
    snapshot.listeningUDPPorts = udp.map { udpSockets.bound.listing(names, ListeningPort.init) }
    takeCompleteSets(into: &snapshot)
    readCustomMetrics(into: &snapshot, until: deadline)
    return snapshot
  }

  /// Moves the complete sets to `snapshot`. The lists of a table that couldn't be read are missing.
  private mutating func takeCompleteSets(into snapshot: inout MetricsSnapshot) {
    guard !completeSets.isEmpty else { return }
    var sets = CompleteSets()
    if case .success = snapshot.establishedConnections { sets.destinations = tcpSockets.destinations }
    if case .success = snapshot.listeningTCPPorts { sets.listeningTCPPorts = tcpSockets.allListening }
    if case .success = snapshot.listeningUDPPorts { sets.listeningUDPPorts = udpSockets.allBound }
    tcpSockets.freeCompleteSets()
    udpSockets.freeCompleteSets()
    snapshot.completeSets = sets
  }

  /// The source of the last snapshot, for messages.
  package var origin: String {
    guard asksKernel else { return "the files under \(procfs.path)" }
    let unavailable = kernel.unavailable
    return unavailable.isEmpty
      ? "netlink" : "netlink, and \(unavailable.joined(separator: ", ")) from the files under /proc"
  }

  private mutating func readCustomMetrics(into snapshot: inout MetricsSnapshot, until deadline: BootTime) {
    var names: Set<CustomMetricName> = []
    for metric in systemMetrics {
      names.insert(metric.name)
      if case .processorTimes = metric.kind.reading {
        snapshot.processorMetrics.append(metric.name)
        snapshot.processorTimes = block { collector throws(CollectionError) in
          try collector.procfs.processorTimes()
        }
        continue
      }
      do throws(CustomMetricError) {
        let files = SystemFiles(procfs: procfs, thermalZones: thermalZones, warnOnce: unmeasured.warn)
        guard let value = try metric.value(in: files) else { continue }
        snapshot.customMetrics.append(CustomMetric(name: metric.name, value: .number(value)))
      } catch .noSensor(let name) {
        unmeasured.warn(about: name.text, "\(CustomMetricError.noSensor(name)). Reports omit the metric.")
      } catch .unreadable(let name, .notMeasured(let path, let reason)) {
        unmeasured.warn(about: name.text, "\(name): \(path): \(reason). Reports omit the metric.")
      } catch {
        log.warn("Can't read the metric \(error). The report omits it.")
      }
    }
    for metric in command?.metrics(log: log, until: deadline, or: shutdownSignal) ?? [] {
      if names.insert(metric.name).inserted {
        snapshot.customMetrics.append(metric)
      } else {
        log.warn(
          "The metrics command reports \(metric.name), which is also in DEFENDER_CUSTOM_METRICS. "
            + "The command's value is ignored."
        )
      }
    }
  }

  /// Returns the result of `read`, and logs its error.
  private mutating func block<Value>(
    _ read: (inout Collector) throws(CollectionError) -> Value
  ) -> Result<Value, CollectionError> {
    do throws(CollectionError) {
      return .success(try read(&self))
    } catch {
      if case .notMeasured(let path, _) = error {
        unmeasured.warn(about: path, "\(error). Reports omit the value.")
      } else {
        log.warn("Can't read \(error). The report omits these values.")
      }
      return .failure(error)
    }
  }

  /// Returns the interface of each address in the network namespace that `directory` shows.
  ///
  /// A tree without its own namespace, such as another mount of `/proc` or a captured tree, gets this
  /// system's addresses.
  private mutating func interfaceNames(_ directory: String) -> InterfaceNames {
    if let fixedNames { return fixedNames }
    if directory != ProcRoot.ownNetworkDirectory {
      return .ofOtherNamespace(procfs, directory: directory, log: log)
    }
    return kernel.interfaceNames() ?? .withoutNetlink(ProcRoot(), log: log)
  }
}

/// Warns once about each source that this machine doesn't measure, because that doesn't change between
/// reports.
private final class UnmeasuredSources {
  private let log: Log
  private var sources: Set<String> = []

  init(_ log: Log) {
    self.log = log
  }

  func warn(about source: String, _ warning: String) {
    if sources.insert(source).inserted { log.warn(warning) }
  }
}

extension Reservoir<SocketRecord> {
  fileprivate func listing<Entry>(
    _ names: InterfaceNames, _ entry: (SocketRecord, InterfaceNames) -> Entry
  ) -> Listing<Entry> {
    Listing(total: total, sample: sample.map { entry($0, names) })
  }
}

extension EstablishedConnection {
  fileprivate init(_ socket: SocketRecord, _ names: InterfaceNames) {
    self.init(
      localInterface: names.interface(of: socket.local.address, index: socket.interfaceIndex).flatMap(
        ShortText.init),
      localPort: socket.local.port, remoteAddress: socket.remote)
  }
}

extension ListeningPort {
  fileprivate init(_ socket: SocketRecord, _ names: InterfaceNames) {
    self.init(
      interface: names.interface(of: socket.local.address, index: socket.interfaceIndex).flatMap(
        ShortText.init),
      port: socket.local.port)
  }
}
