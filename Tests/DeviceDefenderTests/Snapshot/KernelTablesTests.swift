import CLinux
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

/// The peers of the netlink sockets, through which a test answers.
private final class ScriptedKernel {
  private var ends: [Int32] = []
  private let datagrams: [Int32: [[UInt8]]]
  private(set) var opened: [Int32] = []

  /// - Parameter datagrams: the datagrams that each protocol's socket receives, in this order.
  init(_ datagrams: [Int32: [[UInt8]]]) {
    self.datagrams = datagrams
  }

  deinit { for end in ends { close(end) } }

  func open(_ netlinkProtocol: Int32) throws(Errno) -> Int32 {
    opened.append(netlinkProtocol)
    guard let answers = datagrams[netlinkProtocol] else { throw Errno(rawValue: EAFNOSUPPORT) }
    var pair: [Int32] = [0, 0]
    _ = try retryingOnInterrupt { unsafe socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) }
    for answer in answers {
      _ = try retryingOnInterrupt { unsafe send(pair[1], answer, answer.count, 0) }
    }
    ends.append(pair[1])
    return pair[0]
  }
}

@Suite struct `A collector over netlink` {
  private func collector(_ kernel: ScriptedKernel, _ log: RecordedLog, root: String = "/proc") -> Collector {
    let log = log.log()
    let tables = KernelTables(log: log) { number throws(Errno) in try kernel.open(number) }
    return Collector(procfs: ProcRoot(root), kernel: tables, log: log, interfaceNames: InterfaceNames())
  }

  private static let done = netlinkMessage(3, status(0))

  @Test func `counts a socket once if the dump has it twice, and sockets with equal addresses each`() throws {
    let established = diagnosedSocket(
      AF_INET, state: 1, [127, 0, 0, 1], 1_000, [192, 0, 2, 1], 443, cookie: 1)
    let twin = diagnosedSocket(AF_INET, state: 10, [], 80, cookie: 2)
    let otherTwin = diagnosedSocket(AF_INET, state: 10, [], 80, cookie: 3)
    let message = { (socket: [UInt8]) in netlinkMessage(TCPDIAG_GETSOCK, socket) }
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: [
        message(established) + message(twin), message(established) + message(otherTwin) + Self.done,
        netlinkMessage(20, diagnosedSocket(AF_INET, state: 7, [], 53, cookie: 4), sequence: 2)
          + netlinkMessage(20, diagnosedSocket(AF_INET, state: 7, [], 0, cookie: 5), sequence: 2)
          + netlinkMessage(3, status(0), sequence: 2),
        netlinkMessage(3, status(0), sequence: 3),
      ]
    ])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    let snapshot = collector.snapshot()
    #expect(try snapshot.establishedConnections.get().total == 1)
    #expect(try snapshot.listeningTCPPorts.get().total == 2)
    #expect(try snapshot.listeningUDPPorts.get().sample == [ListeningPort(interface: "0.0.0.0", port: 53)])
  }

  @Test(arguments: [
    EACCES, EAFNOSUPPORT, ECONNREFUSED, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
  ])
  func `reads files if netlink is missing, and logs it once`(errno: Int32) throws {
    let log = RecordedLog()
    let tables = KernelTables(log: log.log()) { _ throws(Errno) in throw Errno(rawValue: errno) }
    var collector = Collector(procfs: ProcRoot(), kernel: tables, log: log.log())
    for _ in 0..<2 {
      let snapshot = collector.snapshot()
      #expect(throws: Never.self) { try snapshot.listeningTCPPorts.get() }
      #expect(throws: Never.self) { try snapshot.listeningUDPPorts.get() }
      #expect(try snapshot.networkCounters.get().interfaces.contains { $0.name == "lo" && $0.index == nil })
    }
    #expect(log.lines.count == 4)
  }

  @Test func `reads files only for the protocol that netlink doesn't provide`() throws {
    let socket = diagnosedSocket(AF_INET, state: 10, [], 7_777, cookie: 2)
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: [
        netlinkMessage(TCPDIAG_GETSOCK, socket) + Self.done, netlinkMessage(3, status(-ENOENT), sequence: 2),
      ]
    ])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    let snapshot = collector.snapshot()
    #expect(try snapshot.listeningTCPPorts.get().sample.map(\.port) == [7_777])
    #expect(throws: Never.self) { try snapshot.listeningUDPPorts.get() }
    #expect(
      log.lines.contains { $0.contains("Netlink doesn't provide UDP sockets: No such file or directory") })
  }

  @Test func `treats counters without any interface as unavailable`() throws {
    let kernel = ScriptedKernel([NETLINK_ROUTE: [Self.done]])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    for _ in 0..<2 {
      let counters = try collector.snapshot().networkCounters.get()
      #expect(counters.interfaces.contains { $0.name == "lo" && $0.index == nil })
    }
    #expect(log.lines.count { $0.contains("Netlink doesn't provide interface counters") } == 1)
  }

  @Test func `opens a new socket after a malformed answer, and discards the answer`() throws {
    let socket = diagnosedSocket(AF_INET, state: 10, [], 7_777, cookie: 2)
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: [netlinkMessage(TCPDIAG_GETSOCK, socket) + [1, 2, 3]]
    ])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    let snapshot = collector.snapshot()
    #expect(try !snapshot.listeningTCPPorts.get().sample.contains { $0.port == 7_777 })
    #expect(log.lines.contains { $0.contains("failed to provide TCP sockets: malformed answer") })
    #expect(kernel.opened.filter { $0 == NETLINK_SOCK_DIAG }.count == 2)
  }

  @Test func `opens a new socket after malformed counters`() throws {
    let kernel = ScriptedKernel([NETLINK_ROUTE: [netlinkMessage(Int32(RTM_NEWSTATS), [1, 2, 3])]])
    let log = RecordedLog()
    let tables = KernelTables(log: log.log()) { number throws(Errno) in try kernel.open(number) }
    var collector = Collector(procfs: ProcRoot(), kernel: tables, log: log.log())
    _ = collector.snapshot(until: .now.advanced(by: .seconds(1)))
    #expect(log.lines.contains { $0.contains("failed to provide interface counters: malformed answer") })
    // Once for the counters, and once for the addresses.
    #expect(kernel.opened.count { $0 == NETLINK_ROUTE } == 2)
  }

  @Test(arguments: [0, 40_000])
  func `rejects a datagram that is empty, or longer than the buffer`(size: Int) throws {
    let kernel = ScriptedKernel([NETLINK_SOCK_DIAG: [[UInt8](repeating: 0, count: size)]])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    _ = collector.snapshot(until: .now.advanced(by: .seconds(1)))
    let reason = size == 0 ? "an empty datagram" : "a datagram of 40000 bytes"
    #expect(log.lines.contains { $0.contains("failed to provide TCP sockets: malformed answer: \(reason)") })
  }

  private func statistics(of index: UInt32, bytesIn: UInt64) -> [UInt8] {
    var counters: [UInt8] = []
    for number in [1, 2, bytesIn, 4] { appendBytes(of: number, to: &counters) }
    var message: [UInt8] = [0, 0, 0, 0]
    appendBytes(of: index, to: &message)
    appendBytes(of: UInt32(0), to: &message)
    return message + attribute(UInt16(IFLA_STATS_LINK_64), counters)
  }

  /// Returns a dump of one interface's counters; an inconsistent one is flagged as changed meanwhile.
  private func dump(_ number: UInt32, bytesIn: UInt64, isConsistent: Bool) -> [UInt8] {
    netlinkMessage(
      Int32(RTM_NEWSTATS), statistics(of: 1, bytesIn: bytesIn), sequence: number,
      flags: isConsistent ? 0 : 0x10)
      + netlinkMessage(3, status(0), sequence: number)
  }

  @Test func `repeats a dump of counters that changed meanwhile, and uses only the last one`() throws {
    let kernel = ScriptedKernel([
      NETLINK_ROUTE: [
        dump(1, bytesIn: 10, isConsistent: false), dump(2, bytesIn: 20, isConsistent: false),
        dump(3, bytesIn: 30, isConsistent: true),
      ]
    ])
    var collector = collector(kernel, RecordedLog())
    let counters = try collector.snapshot().networkCounters.get()
    #expect(counters.interfaces.map(\.traffic.bytesIn) == [30])
    #expect(!counters.isPartial)
  }

  @Test func `marks counters as partial if they changed during each of three dumps`() throws {
    let kernel = ScriptedKernel([
      NETLINK_ROUTE: (1...3).map { dump($0, bytesIn: UInt64($0), isConsistent: false) }
    ])
    var collector = collector(kernel, RecordedLog())
    let counters = try collector.snapshot().networkCounters.get()
    #expect(counters.interfaces.map(\.traffic.bytesIn) == [3])
    #expect(counters.isPartial)
  }

  @Test func `names an address by its label, or by its interface if it has none`() throws {
    let head: [UInt8] = [UInt8(AF_INET), 32, 0, 0]
    var index: [UInt8] = []
    appendBytes(of: UInt32(1), to: &index)
    let labelled =
      head + index + attribute(UInt16(IFA_LOCAL), [192, 0, 2, 1])
      + attribute(UInt16(IFA_LABEL), Array("lo:1\0".utf8))
    // An attribute without a payload doesn't hide the attributes after it.
    let bare = head + index + attribute(99, []) + attribute(UInt16(IFA_LOCAL), [192, 0, 2, 2])
    let kernel = ScriptedKernel([
      NETLINK_ROUTE: [
        netlinkMessage(Int32(RTM_NEWADDR), labelled) + netlinkMessage(Int32(RTM_NEWADDR), bare) + Self.done
      ]
    ])
    var tables = KernelTables(log: RecordedLog().log()) { number throws(Errno) in try kernel.open(number) }
    let found = tables.interfaceNames()
    let names = try #require(found)
    #expect(names.interface(of: try #require(IPAddress(parsing: "192.0.2.1"))) == "lo:1")
    #expect(names.interface(of: try #require(IPAddress(parsing: "192.0.2.2"))) == "lo")
  }

  @Test func `counts no sockets of an earlier snapshot`() throws {
    func datagrams(from number: UInt32, port: UInt16) -> [[UInt8]] {
      let listener = diagnosedSocket(AF_INET, state: 10, [], port, cookie: UInt64(port))
      let bound = diagnosedSocket(AF_INET, state: 7, [], port, cookie: UInt64(port))
      func done(_ number: UInt32) -> [UInt8] { netlinkMessage(3, status(0), sequence: number) }
      return [
        netlinkMessage(TCPDIAG_GETSOCK, listener, sequence: number) + done(number),
        netlinkMessage(20, bound, sequence: number + 1) + done(number + 1), done(number + 2),
      ]
    }
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: datagrams(from: 1, port: 80) + datagrams(from: 4, port: 81)
    ])
    var collector = collector(kernel, RecordedLog())
    for port in [80, 81] as [UInt16] {
      let snapshot = collector.snapshot()
      for ports in [snapshot.listeningTCPPorts, snapshot.listeningUDPPorts] {
        #expect(try ports.get().total == 1)
        #expect(try ports.get().sample.map(\.port) == [port])
      }
    }
  }

  @Test func `discards UDP sockets of a malformed answer`() throws {
    let socket = diagnosedSocket(AF_INET, state: 7, [], 7_777, cookie: 2)
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: [Self.done, netlinkMessage(20, socket, sequence: 2) + [1, 2, 3]]
    ])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    let snapshot = collector.snapshot()
    #expect(try !snapshot.listeningUDPPorts.get().sample.contains { $0.port == 7_777 })
    #expect(log.lines.contains { $0.contains("failed to provide UDP sockets: malformed answer") })
  }

  @Test func `uses netlink only if the root is named /proc`() throws {
    let directory = try TemporaryDirectory()
    let link = directory.path + "/proc"
    #expect(unsafe symlink("/proc", link) == 0)
    for root in [fixturePath("proc/basic/t1"), link] {
      let kernel = ScriptedKernel([:])
      var collector = collector(kernel, RecordedLog(), root: root)
      _ = collector.snapshot()
      #expect(kernel.opened == [])
      #expect(collector.origin.hasPrefix("the files under /"))
    }
  }

  @Test func `finds the same as the files of procfs`() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    #expect(listen(listener, 1) == 0)
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let named = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(listener, $0, &size)
      }
    }
    #expect(named == 0)
    let port = ListeningPort(interface: "0.0.0.0", port: UInt16(bigEndian: address.sin_port))

    let log = RecordedLog()
    var byNetlink = Collector(procfs: ProcRoot(), log: log.log(), maximumListSize: .max)
    #expect(try byNetlink.snapshot().listeningTCPPorts.get().sample.contains(port))
    #expect(log.lines == [])
    let without = KernelTables(log: log.log()) { _ throws(Errno) in throw Errno(rawValue: EAFNOSUPPORT) }
    var byFile = Collector(procfs: ProcRoot(), kernel: without, log: log.log(), maximumListSize: .max)
    #expect(try byFile.snapshot().listeningTCPPorts.get().sample.contains(port))
  }

  @Test func `finds the same addresses with and without netlink`() throws {
    let log = RecordedLog()
    var tables = KernelTables(log: log.log())
    let found = tables.interfaceNames()
    let names = try #require(found)
    let others = InterfaceNames.withoutNetlink(ProcRoot(), log: log.log())
    for text in ["127.0.0.1", "127.0.0.53", "::ffff:127.0.0.1"] {
      let address = try #require(IPAddress(parsing: text))
      #expect(names.interface(of: address) == "lo")
      #expect(others.interface(of: address) == "lo")
    }
    #expect(log.lines == [])
  }

  @Test func `survives seeded damage to every message`() {
    var random = SeededRandom(seed: 11)
    let socket = diagnosedSocket(AF_INET6, state: 10, [1], 22, cookie: 5)
    let statistics =
      [0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]
      + attribute(UInt16(IFLA_STATS_LINK_64), [UInt8](repeating: 7, count: 200))
    let address: [UInt8] =
      [2, 8, 0, 0, 1, 0, 0, 0] + attribute(1, [127, 0, 0, 1]) + attribute(2, [127, 0, 0, 1])
      + attribute(3, [108, 0])
    let datagram =
      [socket, statistics, address].reduce([]) { $0 + netlinkMessage(20, $1) } + netlinkMessage(3, status(0))
    for _ in 0..<20_000 {
      var reader = DumpReader(sequence: 1)
      let bytes = damaged(datagram, using: &random)
      _ = try? reader.read(bytes.span, type: 20) { payload throws(NetlinkError) in
        if let message = try? SocketMessage(payload) { _ = message.record(payload) }
        _ = try? InterfaceStatistics(payload)
        _ = try? InterfaceAddress(payload)
      }
    }
  }
}
