import CLinux
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

/// A netlink message in bytes.
func netlinkMessage(_ type: Int32, _ payload: [UInt8], sequence: UInt32 = 1, flags: UInt16 = 0) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: UInt32(16 + payload.count), to: &bytes)
  appendBytes(of: UInt16(type), to: &bytes)
  appendBytes(of: flags, to: &bytes)
  appendBytes(of: sequence, to: &bytes)
  appendBytes(of: UInt32(0), to: &bytes)
  bytes += payload
  return bytes + [UInt8](repeating: 0, count: -bytes.count & 3)
}

func status(_ value: Int32) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: value, to: &bytes)
  return bytes
}

/// A socket as sock_diag tells of it.
func diagnosedSocket(
  _ family: Int32, state: UInt8, _ local: [UInt8], _ localPort: UInt16, _ remote: [UInt8] = [],
  _ remotePort: UInt16 = 0, interface: UInt32 = 0, cookie: UInt64
) -> [UInt8] {
  var bytes: [UInt8] = [UInt8(family), state, 0, 0]
  appendBytes(of: localPort.bigEndian, to: &bytes)
  appendBytes(of: remotePort.bigEndian, to: &bytes)
  bytes += local + [UInt8](repeating: 0, count: 16 - local.count)
  bytes += remote + [UInt8](repeating: 0, count: 16 - remote.count)
  appendBytes(of: interface, to: &bytes)
  appendBytes(of: cookie, to: &bytes)
  return bytes + [UInt8](repeating: 0, count: 20)
}

func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: UInt16(4 + payload.count), to: &bytes)
  appendBytes(of: type, to: &bytes)
  bytes += payload
  return bytes + [UInt8](repeating: 0, count: -bytes.count & 3)
}

@Suite struct NetlinkTests {
  private func read(_ datagram: [UInt8]) throws(NetlinkError) -> (DumpProgress, payloads: Int) {
    var reader = DumpReader(sequence: 1)
    var payloads = 0
    let progress = try reader.read(datagram.span, type: 20) { _ throws(NetlinkError) in payloads += 1 }
    return (progress, payloads)
  }

  @Test(
    arguments: [
      [0], [UInt8](repeating: 0, count: 15), [UInt8](repeating: 0, count: 16),
      [15, 0, 0, 0] + [UInt8](repeating: 0, count: 12), [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
      [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12), netlinkMessage(2, []),
      netlinkMessage(2, [0, 0, 0]),
      netlinkMessage(20, [1, 2, 3, 4]) + [1],
    ])
  func `refuses a datagram with a message cut off or of a wrong length`(datagram: [UInt8]) throws {
    let error = try #require(throws: NetlinkError.self) { _ = try read(datagram) }
    guard case .malformed = error else {
      Issue.record("\(error)")
      return
    }
  }

  @Test(
    arguments: [
      (netlinkMessage(2, status(-ENOENT)), ENOENT), (netlinkMessage(2, status(.min)), EINVAL),
      (netlinkMessage(3, status(-ENOENT)), ENOENT),
      (netlinkMessage(20, []) + netlinkMessage(3, status(-EOPNOTSUPP)), EOPNOTSUPP),
    ])
  func `takes an error for one, in a final message as well`(datagram: [UInt8], errno: Int32) {
    #expect(throws: NetlinkError.refused(Errno(rawValue: errno))) { _ = try read(datagram) }
  }

  @Test(
    arguments: [
      ([], .unfinished, 0), (netlinkMessage(20, []), .unfinished, 1),
      (netlinkMessage(21, []), .unfinished, 0),
      (netlinkMessage(3, []), .finished, 0), (netlinkMessage(3, status(0)), .finished, 0),
      (netlinkMessage(2, status(0)), .unfinished, 0),
      (netlinkMessage(20, [1]) + netlinkMessage(3, status(0)), .finished, 1),
      (netlinkMessage(20, [], flags: 0x10) + netlinkMessage(3, status(0)), .finishedInconsistent, 1),
      (netlinkMessage(3, status(-1), sequence: 7) + netlinkMessage(20, []), .unfinished, 1),
    ] as [([UInt8], DumpProgress, Int)])
  func `goes through a dump to its end`(datagram: [UInt8], progress: DumpProgress, payloads: Int) throws {
    let result = try read(datagram)
    #expect(result.0 == progress)
    #expect(result.payloads == payloads)
  }

  @Test func `takes lost messages for a failure, not for the end of the dump`() {
    let datagram = netlinkMessage(20, [1]) + netlinkMessage(NLMSG_OVERRUN, [])
    #expect(throws: NetlinkError.failed(Errno(rawValue: ENOBUFS))) { _ = try read(datagram) }
  }

  @Test func `reads a socket`() throws {
    let v6 = diagnosedSocket(
      AF_INET6, state: 1, [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1], 8_883,
      [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 1], 65_535, interface: 3, cookie: 9)
    let message = try SocketMessage(v6.span)
    let record = message.record(v6.span)
    #expect(record.local.description == "[fe80::1]:8883")
    #expect(record.remote.description == "[::ffff:192.0.2.1]:65535")
    #expect(record.interfaceIndex == 3)
    #expect(record.identity == 9)
    #expect(record.state == 1)
  }

  @Test(arguments: [[], [2], [UInt8](repeating: 2, count: 71), [UInt8](repeating: 1, count: 72)])
  func `refuses a socket that is cut off or of another family`(bytes: [UInt8]) {
    #expect(throws: NetlinkError.self) { _ = try SocketMessage(bytes.span) }
  }

  @Test func `reads the address of our end, and its label`() throws {
    let head: [UInt8] = [UInt8(AF_INET), 32, 0, 0] + [7, 0, 0, 0]
    // With NLA_F_NET_BYTEORDER in its type, which says nothing about what it is.
    let local = attribute(UInt16(IFA_LOCAL) | 0x4000, [10, 0, 0, 1])
    let message =
      head + attribute(UInt16(IFA_ADDRESS), [10, 0, 0, 2]) + local
      + attribute(UInt16(IFA_LABEL), Array("tun0:1\0".utf8))
    let address = try #require(try InterfaceAddress(message.span))
    #expect(address.address.description == "10.0.0.1")
    #expect(address.label == "tun0:1")
    #expect(address.interfaceIndex == UInt32(littleEndian: 7) || address.interfaceIndex == 0x0700_0000)
  }

  @Test(
    arguments: [
      [], [2, 0, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0, 0, 0],
      [2, 0, 0, 0, 1, 0, 0, 0] + attribute(1, [1, 2, 3]),
      [10, 0, 0, 0, 1, 0, 0, 0] + attribute(1, [1, 2, 3, 4]),
    ])
  func `refuses an address message without an address`(bytes: [UInt8]) {
    #expect(throws: NetlinkError.self) { _ = try InterfaceAddress(bytes.span) }
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

/// The far ends of the netlink sockets that a test answers.
private final class ScriptedKernel {
  private var ends: [Int32] = []
  private let datagrams: [Int32: [[UInt8]]]
  private(set) var opened: [Int32] = []

  /// - Parameter datagrams: what each protocol's socket has to say, in this order.
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

@Suite struct KernelTablesTests {
  private func collector(_ kernel: ScriptedKernel, _ log: RecordedLog, root: String = "/proc") -> Collector {
    let log = log.log()
    let tables = KernelTables(log: log) { number throws(Errno) in try kernel.open(number) }
    return Collector(procfs: ProcRoot(root), kernel: tables, log: log, interfaceNames: InterfaceNames())
  }

  private static let done = netlinkMessage(3, status(0))

  @Test func `counts a socket that is told of twice once, and equal sockets each`() throws {
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
  func `reads files where netlink is missing, and says so once`(errno: Int32) throws {
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

  @Test func `reads files for the one protocol that the kernel doesn't diagnose`() throws {
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
      log.lines.contains { $0.contains("netlink doesn't tell UDP sockets here: No such file or directory") })
  }

  @Test func `takes counters of no interface at all for no answer`() throws {
    let kernel = ScriptedKernel([NETLINK_ROUTE: [Self.done]])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    for _ in 0..<2 {
      let counters = try collector.snapshot().networkCounters.get()
      #expect(counters.interfaces.contains { $0.name == "lo" && $0.index == nil })
    }
    #expect(log.lines.count { $0.contains("netlink doesn't tell interface counters here") } == 1)
  }

  @Test func `starts over on a new socket after a broken answer, and keeps nothing of it`() throws {
    let socket = diagnosedSocket(AF_INET, state: 10, [], 7_777, cookie: 2)
    let kernel = ScriptedKernel([
      NETLINK_SOCK_DIAG: [netlinkMessage(TCPDIAG_GETSOCK, socket) + [1, 2, 3]]
    ])
    let log = RecordedLog()
    var collector = collector(kernel, log)
    let snapshot = collector.snapshot()
    #expect(try !snapshot.listeningTCPPorts.get().sample.contains { $0.port == 7_777 })
    #expect(log.lines.contains { $0.contains("failed to tell TCP sockets: malformed answer") })
    #expect(kernel.opened.filter { $0 == NETLINK_SOCK_DIAG }.count == 2)
  }

  @Test func `opens a new socket after malformed counters, too`() throws {
    let kernel = ScriptedKernel([NETLINK_ROUTE: [netlinkMessage(Int32(RTM_NEWSTATS), [1, 2, 3])]])
    let log = RecordedLog()
    let tables = KernelTables(log: log.log()) { number throws(Errno) in try kernel.open(number) }
    var collector = Collector(procfs: ProcRoot(), kernel: tables, log: log.log())
    _ = collector.snapshot(until: .now.advanced(by: .seconds(1)))
    #expect(log.lines.contains { $0.contains("failed to tell interface counters: malformed answer") })
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
    #expect(log.lines.contains { $0.contains("failed to tell TCP sockets: malformed answer: \(reason)") })
  }

  private func statistics(of index: UInt32, bytesIn: UInt64) -> [UInt8] {
    var counters: [UInt8] = []
    for number in [1, 2, bytesIn, 4] { appendBytes(of: number, to: &counters) }
    var message: [UInt8] = [0, 0, 0, 0]
    appendBytes(of: index, to: &message)
    appendBytes(of: UInt32(0), to: &message)
    return message + attribute(UInt16(IFLA_STATS_LINK_64), counters)
  }

  /// A dump of the counters of one interface, which changed meanwhile if it is inconsistent.
  private func dump(_ number: UInt32, bytesIn: UInt64, isConsistent: Bool) -> [UInt8] {
    netlinkMessage(
      Int32(RTM_NEWSTATS), statistics(of: 1, bytesIn: bytesIn), sequence: number,
      flags: isConsistent ? 0 : 0x10)
      + netlinkMessage(3, status(0), sequence: number)
  }

  @Test func `asks again for counters that changed meanwhile, and keeps the last answer only`() throws {
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

  @Test func `marks counters as partial if they changed during three dumps`() throws {
    let kernel = ScriptedKernel([
      NETLINK_ROUTE: (1...3).map { dump($0, bytesIn: UInt64($0), isConsistent: false) }
    ])
    var collector = collector(kernel, RecordedLog())
    let counters = try collector.snapshot().networkCounters.get()
    #expect(counters.interfaces.map(\.traffic.bytesIn) == [3])
    #expect(counters.isPartial)
  }

  @Test func `names an address by its label, and by its interface without one`() throws {
    let head: [UInt8] = [UInt8(AF_INET), 32, 0, 0]
    var index: [UInt8] = []
    appendBytes(of: UInt32(1), to: &index)
    let labelled =
      head + index + attribute(UInt16(IFA_LOCAL), [192, 0, 2, 1])
      + attribute(UInt16(IFA_LABEL), Array("lo:1\0".utf8))
    // An attribute without a payload hides nothing of what follows it.
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
    #expect(log.lines.contains { $0.contains("failed to tell UDP sockets: malformed answer") })
  }

  @Test func `asks the kernel only where the root is this system's by name`() throws {
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

  @Test func `finds what a file of procfs finds`() throws {
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
}

@Suite struct InterfaceNamesTests {
  private func names() -> InterfaceNames {
    var names = InterfaceNames()
    for (address, interface) in [
      ("127.0.0.1", "lo"), ("::1", "lo"), ("192.0.2.10", "eth0"), ("192.0.2.11", "eth0:1"),
      ("fe80::1", "eth0"),
      ("fe80::1", "eth1"), ("fe80::2", "eth0"),
    ] {
      if let address = IPAddress(parsing: address) { names.insert(address, interface: interface) }
    }
    names.insert(index: 3, interface: "eth1")
    names.insert(network: 0x0A00_0000, mask: 0xFF00_0000, interface: "wan")
    names.insert(network: 0x0A01_0000, mask: 0xFFFF_0000, interface: "lan")
    names.insert(network: 0x0A02_0000, mask: 0xFFFF_0000, interface: "a")
    names.insert(network: 0x0A02_0000, mask: 0xFFFF_0000, interface: "b")
    return names
  }

  @Test(
    arguments: [
      ("0.0.0.0", 0, "0.0.0.0"), ("::", 3, "::"), ("::ffff:0.0.0.0", 0, "0.0.0.0"), ("127.0.0.1", 0, "lo"),
      ("127.255.255.254", 0, "lo"), ("::1", 0, "lo"), ("192.0.2.10", 0, "eth0"),
      ("::ffff:192.0.2.11", 0, "eth0:1"),
      ("192.0.2.12", 0, nil), ("2001:db8::1", 0, nil), ("fe80::1", 0, nil), ("fe80::1", 3, "eth1"),
      ("fe80::1", 9, nil), ("fe80::2", 0, "eth0"), ("fe80::3", 3, "eth1"), ("10.9.9.9", 0, "wan"),
      ("10.1.9.9", 0, "lan"), ("10.2.9.9", 0, nil), ("224.0.0.251", 0, nil),
    ] as [(String, UInt32, String?)])
  func `tells the interface of an address, or nothing`(text: String, index: UInt32, interface: String?) throws
  {
    let address = try #require(IPAddress(parsing: text))
    #expect(names().interface(of: address, index: index) == interface)
  }

  @Test func `reads the addresses of another namespace from its files`() throws {
    let tree = try TemporaryDirectory()
    try tree.write(
      "1/net/route",
      """
      Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
      eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
      eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
      down\t000300C0\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000400C0\t010200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000500C0\t010200C0\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000600C0\t00000000\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
      ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
      cut\t0003
      """)
    try tree.write(
      "1/net/if_inet6",
      """
      fe8000000000000000fc00fffe000001 04 40 20 80     eth0
      00000000000000000000000000000001 01 80 10 80       lo
      0000000000000000000000000000000x 01 80 10 80       lo
      """)
    try tree.write("1/net/dev", "")
    let root = ProcRoot(tree.path)
    #expect(root.networkDirectory == "1/net")
    let log = RecordedLog()
    let names = InterfaceNames.ofOtherNamespace(root, directory: "1/net", log: log.log())
    for (text, interface) in [
      ("192.0.2.77", "eth0"), ("192.0.3.1", nil), ("192.0.4.1", nil), ("192.0.5.1", nil), ("192.0.6.1", nil),
      ("127.0.0.9", "lo"), ("::1", "lo"),
      ("fe80::fc:ff:fe00:1", "eth0"), ("198.51.100.1", nil),
    ] {
      let address = try #require(IPAddress(parsing: text))
      #expect(names.interface(of: address) == interface, "\(text)")
    }
    #expect(log.lines.count == 2)
  }

  @Test func `reads our own namespace under any mount of our own procfs`() {
    #expect(ProcRoot("/proc/").networkDirectory == "net")
    #expect(ProcRoot("/proc/self/root/proc").networkDirectory == "net")
    #expect(ProcRoot(fixturePath("proc/basic/t1")).networkDirectory == "net")
  }
}
