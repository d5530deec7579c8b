import CLinux
import Glibc
import Platform
import TestSupport
import Testing

@testable import DeviceDefender

/// A fake kernel that receives netlink requests and answers with queued datagrams, or not at all.
private final class QueuedKernel {
  private var ends: [Int32] = []
  private let datagrams: [[UInt8]]

  init(_ datagrams: [[UInt8]] = []) {
    self.datagrams = datagrams
  }

  deinit { for end in ends { close(end) } }

  func open(_ netlinkProtocol: Int32) throws(Errno) -> Int32 {
    var pair: [Int32] = [0, 0]
    _ = try retryingOnInterrupt { unsafe socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) }
    for datagram in datagrams {
      _ = try retryingOnInterrupt { unsafe send(pair[1], datagram, datagram.count, 0) }
    }
    ends.append(pair[1])
    return pair[0]
  }
}

/// Returns two connected sockets. Datagrams of the second have a sender address other than the kernel's.
private func socketsOfImpostor() throws -> (ours: Int32, theirs: Int32) {
  func bound(_ name: String) throws -> (descriptor: Int32, address: sockaddr_un, size: socklen_t) {
    let descriptor = try retryingOnInterrupt { socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // An abstract name (unix(7)). If it is read as a sockaddr_nl, its third to sixth bytes are a process's
    // port number.
    let bytes = Array("\0\(name)-\(getpid())".utf8)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { path in
      for (index, byte) in bytes.enumerated() { unsafe path[index] = byte }
    }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    _ = try retryingOnInterrupt { unsafe with(&address) { unsafe bind(descriptor, $0, size) } }
    return (descriptor, address, size)
  }
  var ours = try bound("netlink-test-ours")
  var theirs = try bound("netlink-test-theirs")
  _ = try retryingOnInterrupt {
    unsafe with(&theirs.address) { unsafe connect(ours.descriptor, $0, theirs.size) }
  }
  _ = try retryingOnInterrupt {
    unsafe with(&ours.address) { unsafe connect(theirs.descriptor, $0, ours.size) }
  }
  return (ours.descriptor, theirs.descriptor)
}

private func with(_ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
  unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0) }
  }
}

@Suite struct `The deadline of a snapshot` {
  private let log = RecordedLog()

  private func command(_ script: String, in directory: TemporaryDirectory) throws -> MetricsCommand {
    let path = try directory.writeProgram("metrics", "#!/bin/sh\n\(script)\n")
    return try MetricsCommand(path: path, environment: Environment(["PATH": "/usr/bin:/bin"]))
  }

  @Test func `stops a metrics command before its own timeout, and logs why`() throws {
    let directory = try TemporaryDirectory()
    var collector = Collector(
      procfs: ProcRoot(), log: log.log(), command: try command("sleep 60", in: directory))
    let start = BootTime.now
    let snapshot = collector.snapshot(until: start.advanced(by: .milliseconds(300)))
    #expect(start.duration(to: .now) < .seconds(8), "its own timeout is 10 s")
    #expect(snapshot.customMetrics.isEmpty)
    #expect(log.lines.contains { $0.contains("because the deadline left no more time") }, "\(log.lines)")
    // Everything else was read before the command started.
    #expect(throws: Never.self) { try snapshot.listeningTCPPorts.get() }
  }

  @Test func `lets a metrics command reach its own timeout, and logs that as the reason`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.writeProgram("metrics", "#!/bin/sh\nsleep 60\n")
    let command = try MetricsCommand(
      path: path, timeout: .milliseconds(200), environment: Environment(["PATH": "/usr/bin:/bin"]))
    let found = command.metrics(log: log.log(), until: .now.advanced(by: .seconds(60)), or: nil)
    #expect(found.isEmpty)
    #expect(log.lines.count == 1)
    #expect(log.lines.allSatisfy { $0.contains("it took too long") && !$0.contains("deadline") })
  }

  @Test func `starts no metrics command once it has passed`() throws {
    let directory = try TemporaryDirectory()
    let command = try command("touch \(directory.path)/ran", in: directory)
    let found = command.metrics(log: log.log(), until: .now, or: nil)
    #expect(found.isEmpty)
    #expect(log.lines.contains { $0.contains("no time was left before the deadline") })
    #expect(unsafe access("\(directory.path)/ran", F_OK) != 0)
  }

  @Test func `ends all waits for a kernel that doesn't answer`() {
    let kernel = QueuedKernel()
    let tables = KernelTables(log: log.log()) { number throws(Errno) in try kernel.open(number) }
    var collector = Collector(procfs: ProcRoot(), kernel: tables, log: log.log())
    let start = BootTime.now
    let snapshot = collector.snapshot(until: start.advanced(by: .milliseconds(200)))
    // Each of the four requests would time out after 5 s.
    #expect(start.duration(to: .now) < .seconds(4))
    #expect(log.lines.count { $0.contains("Netlink failed to provide") } == 4, "\(log.lines)")
    // Short files are still read.
    #expect(throws: Never.self) { try snapshot.networkCounters.get() }
  }

  @Test func `ends a dump whose datagrams never end`() throws {
    let unfinished = netlinkMessage(20, [1, 2, 3, 4])
    let kernel = QueuedKernel([unfinished, unfinished])
    var socket = try NetlinkSocket(NETLINK_ROUTE) { number throws(Errno) in try kernel.open(number) }
    var buffer: [UInt8] = []
    var messages = 0
    let deadline = BootTime.now.advanced(by: .seconds(2))
    let error = #expect(throws: NetlinkError.self) {
      _ = try socket.dump((20, []), answer: 20, until: deadline, buffer: &buffer) { _ throws(NetlinkError) in
        messages += 1
        _ = SystemWaiter(shutdown: nil).wait(until: deadline)
      }
    }
    #expect(error == NetlinkError.failed(Errno.timedOut))
    #expect(messages == 1)
  }

  @Test func `passes if only a process other than the kernel answers`() throws {
    let (ours, theirs) = try socketsOfImpostor()
    defer { close(theirs) }
    let forged = netlinkMessage(20, [1, 2, 3, 4]) + netlinkMessage(3, status(0))
    _ = try retryingOnInterrupt { unsafe send(theirs, forged, forged.count, 0) }
    var socket = try NetlinkSocket(NETLINK_ROUTE) { _ throws(Errno) in ours }
    var buffer: [UInt8] = []
    var messages = 0
    #expect(throws: NetlinkError.failed(.timedOut)) {
      _ = try socket.dump(
        (20, []), answer: 20, until: .now.advanced(by: .milliseconds(300)), buffer: &buffer
      ) { _ throws(NetlinkError) in messages += 1 }
    }
    #expect(messages == 0)
  }

  @Test func `doesn't shorten the next dump`() throws {
    let kernel = QueuedKernel()
    var socket = try NetlinkSocket(NETLINK_ROUTE) { number throws(Errno) in try kernel.open(number) }
    var buffer: [UInt8] = []
    for wait in [Duration.milliseconds(50), .milliseconds(400)] {
      let start = BootTime.now
      let deadline = start.advanced(by: wait)
      #expect(throws: NetlinkError.failed(.timedOut)) {
        _ = try socket.dump((20, []), answer: 20, until: deadline, buffer: &buffer) { _ in }
      }
      #expect(start.duration(to: .now) >= wait)
    }
  }

  @Test func `ends reading a file that has no end`() {
    var reader = LineReader()
    reader.deadline = .now.advanced(by: .milliseconds(100))
    var lines = 0
    #expect(throws: Errno.timedOut) {
      try reader.forEachLine(reading: { buffer, start throws(Errno) in
        buffer[start] = UInt8(ascii: "\n")
        return 1
      }) { _, _, _ in lines += 1 }
    }
    #expect(lines > 0)
  }

  @Test func `isn't needed to stop reading at the size limit`() {
    var reader = LineReader()
    var reads = 0
    #expect(throws: Errno.fileTooLarge) {
      try reader.forEachLine(reading: { buffer, start throws(Errno) in
        reads += 1
        // Ends a line, so that each read gets the whole buffer, whatever the uninitialised memory contained.
        buffer[buffer.count - 1] = UInt8(ascii: "\n")
        return reads > 10_000 ? 0 : buffer.count - start
      }) { _, _, _ in }
    }
  }

  @Test func `reports a last line without a line end as truncated`() throws {
    var reader = LineReader()
    var rest = Array("one\ntwo".utf8)
    var flaws: [LineError?] = []
    try reader.forEachLine(reading: { buffer, start throws(Errno) in
      for (index, byte) in rest.enumerated() { buffer[start + index] = byte }
      defer { rest = [] }
      return rest.count
    }) { _, _, flaw in flaws.append(flaw) }
    #expect(flaws == [nil, .cut])
  }

  @Test func `omits an unfinished file from the report, and logs it`() throws {
    let tree = try TemporaryDirectory()
    let heading = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    let socket =
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
    for name in ["tcp6", "udp", "udp6"] { try tree.write("net/\(name)", heading) }
    // More than is read between two checks of the clock.
    try tree.write("net/tcp", heading + String(repeating: socket, count: 20_000))
    var collector = Collector(procfs: ProcRoot(tree.path), log: log.log())
    let snapshot = collector.snapshot(until: .now)
    let path = "\(ProcRoot(tree.path).resolved.path)/net/tcp"
    #expect(throws: CollectionError.unreadable(path: path, .timedOut)) {
      try snapshot.listeningTCPPorts.get()
    }
    #expect(throws: Never.self) { try snapshot.listeningUDPPorts.get() }
    #expect(log.lines.contains { $0.contains("net/tcp: the deadline passed before the end of the file") })
    let whole = collector.snapshot()
    #expect(try whole.listeningTCPPorts.get().total == 1)
  }
}
