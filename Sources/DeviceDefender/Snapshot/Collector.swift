package import Platform
import WireFormats

/// Reads the machine's network metrics; one collector serves the life of the process.
///
/// What it reads into is free between snapshots: that is minutes, and 32 KiB or 64 in a process of 1 MiB.
package struct Collector: ~Copyable {
  /// How many entries are kept of each list unless the caller asks for more or fewer.
  package static let defaultListSize = 50

  private let configuredProcfs: ProcRoot
  /// Where that leads to, found anew for each snapshot.
  private var procfs: ProcRoot
  private let asksKernel: Bool
  private let log: Log
  private let fixedNames: InterfaceNames?
  /// The kernel itself: asked for all where `procfs` is this system's own, for addresses only otherwise.
  private var kernel: KernelTables
  private var reader = LineReader()
  private var tcpSockets: TCPSockets
  private var udpSockets: UDPSockets
  private let systemMetrics: [SystemMetric]
  private let command: MetricsCommand?
  /// What cuts short what is waited for in a snapshot.
  package var shutdownSignal: ShutdownSignal?
  /// The directory of this system's sensors.
  private let thermalZones: String
  /// What this machine doesn't measure.
  private let unmeasured: UnmeasuredSources

  /// A collector of the sockets that `procfs` shows.
  ///
  /// - Parameters:
  ///   - procfs: where the proc file system is. `/proc` means this system, which is asked over netlink where that is
  ///     to be had; any other root means its files.
  ///   - log: what is told of lines and files that couldn't be read.
  ///   - maximumListSize: how many sockets are kept of each list; a larger list is sampled.
  ///   - systemMetrics: custom metrics to read from this system.
  ///   - command: a program that tells further ones.
  ///   - interfaceNames: whose addresses are whose; nil asks the system at each snapshot.
  ///   - generator: chooses the samples.
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

  /// Returns what the machine is doing now. A block that can't be read is logged, and missing.
  ///
  /// Waiting for netlink, for a long file and for the metrics command ends at `deadline`, measured by the system's clock.
  /// The snapshot lacks the blocks that weren't complete by then.
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
    readCustomMetrics(into: &snapshot, until: deadline)
    return snapshot
  }

  /// Where the last snapshot came from, in words.
  package var origin: String {
    guard asksKernel else { return "the files under \(procfs.path)" }
    let untold = kernel.untold
    return untold.isEmpty
      ? "netlink" : "netlink, and \(untold.joined(separator: ", ")) from the files under /proc"
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
        unmeasured.warn(about: name.text, "\(CustomMetricError.noSensor(name)); left out")
      } catch .unreadable(let name, .notMeasured(let path, let reason)) {
        unmeasured.warn(about: name.text, "\(name): \(path): \(reason); the metric is left out")
      } catch {
        log.warn("\(error); the report does without")
      }
    }
    for metric in command?.metrics(log: log, until: deadline, or: shutdownSignal) ?? [] {
      if names.insert(metric.name).inserted {
        snapshot.customMetrics.append(metric)
      } else {
        log.warn("\(metric.name): DEFENDER_CUSTOM_METRICS has it too, and is the one that counts")
      }
    }
  }

  /// What `read` returns, or the error that it throws, which is logged.
  private mutating func block<Value>(
    _ read: (inout Collector) throws(CollectionError) -> Value
  ) -> Result<Value, CollectionError> {
    do throws(CollectionError) {
      return .success(try read(&self))
    } catch {
      if case .notMeasured(let path, _) = error {
        unmeasured.warn(about: path, "\(error); the report does without")
      } else {
        log.warn("\(error); the report does without")
      }
      return .failure(error)
    }
  }

  /// Whose addresses are whose in the network namespace that `directory` shows.
  ///
  /// A tree without a separate namespace, such as a mounted or captured one, shows this system's namespace, so this
  /// system's addresses apply.
  private mutating func interfaceNames(_ directory: String) -> InterfaceNames {
    if let fixedNames { return fixedNames }
    if directory != ProcRoot.ownNetworkDirectory {
      return .ofOtherNamespace(procfs, directory: directory, log: log)
    }
    return kernel.interfaceNames() ?? .withoutNetlink(ProcRoot(), log: log)
  }
}

/// Warns once about each thing that a machine doesn't measure: that doesn't change from report to report.
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
