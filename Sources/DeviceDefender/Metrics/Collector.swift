package import Platform

/// Reads the machine's network metrics; one collector serves the life of the process and keeps its buffers.
package struct Collector: ~Copyable {
  private let procfs: ProcRoot
  private let log: Log
  private let fixedNames: InterfaceNames?
  private var reader = LineReader()
  private var tcpSockets: TCPSockets
  private var udpSockets: UDPSockets

  /// A collector of the sockets that `procfs` shows.
  ///
  /// - Parameters:
  ///   - procfs: where the proc file system is.
  ///   - log: what is told of lines and files that couldn't be read.
  ///   - maximumListSize: how many sockets are kept of each list; a larger list is sampled.
  ///   - interfaceNames: whose addresses are whose; nil asks the system at each snapshot.
  ///   - generator: chooses the samples.
  package init(
    procfs: ProcRoot, log: Log, maximumListSize: Int = ReportLimits.defaultListSize,
    interfaceNames: InterfaceNames? = nil, generator: SeededGenerator = .seededBySystem()
  ) {
    self.procfs = procfs
    self.log = log
    fixedNames = interfaceNames
    var generator = generator
    tcpSockets = TCPSockets(limit: maximumListSize, generator: &generator)
    udpSockets = UDPSockets(limit: maximumListSize, generator: &generator)
  }

  /// What the machine is doing now. A block that can't be read is logged, and missing.
  package mutating func snapshot() -> MetricsSnapshot {
    var snapshot = MetricsSnapshot()
    snapshot.networkCounters = block { collector throws(CollectionError) in
      try collector.procfs.networkCounters(with: &collector.reader, log: collector.log)
    }
    let tcp: Result<Void, CollectionError> = block { collector throws(CollectionError) in
      collector.tcpSockets.reset()
      try collector.procfs.readTCPSockets(
        into: &collector.tcpSockets, with: &collector.reader, log: collector.log)
    }
    let udp: Result<Void, CollectionError> = block { collector throws(CollectionError) in
      collector.udpSockets.reset()
      try collector.procfs.readUDPSockets(
        into: &collector.udpSockets, with: &collector.reader, log: collector.log)
    }
    let names = interfaceNames()
    snapshot.establishedConnections = tcp.map {
      tcpSockets.established.listing(names, EstablishedConnection.init)
    }
    snapshot.listeningTCPPorts = tcp.map { tcpSockets.listening.listing(names, ListeningPort.init) }
    snapshot.listeningUDPPorts = udp.map { udpSockets.bound.listing(names, ListeningPort.init) }
    return snapshot
  }

  /// What `read` returns, or the error that it throws, which is logged.
  private mutating func block<Value>(
    _ read: (inout Collector) throws(CollectionError) -> Value
  ) -> Result<Value, CollectionError> {
    do throws(CollectionError) {
      return .success(try read(&self))
    } catch {
      log.warn("\(error); the report does without")
      return .failure(error)
    }
  }

  private func interfaceNames() -> InterfaceNames {
    if let fixedNames { return fixedNames }
    do throws(Errno) {
      return try .ofThisSystem()
    } catch {
      log.warn("the addresses of the interfaces can't be read: \(error); the report names none")
      return InterfaceNames()
    }
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
      localInterface: names.interface(of: socket.local.address), localPort: socket.local.port,
      remoteAddress: socket.remote)
  }
}

extension ListeningPort {
  fileprivate init(_ socket: SocketRecord, _ names: InterfaceNames) {
    self.init(interface: names.interface(of: socket.local.address), port: socket.local.port)
  }
}
