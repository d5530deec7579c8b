import CLinux
import Glibc
import Platform

/// A netlink socket that stays open from one snapshot to the next.
struct NetlinkSocket: ~Copyable {
  /// Opens a socket of a netlink protocol. Injected, so that a test can replace the kernel.
  typealias Opening = (_ netlinkProtocol: Int32) throws(Errno) -> Int32

  /// The longest wait for a datagram. The kernel answers from memory, so only a broken one takes this long.
  private static let longestPatience = Duration.seconds(5)
  /// The kernel fills at most 32 KiB (net/netlink/af_netlink.c, netlink_recvmsg); a larger buffer has no
  /// benefit.
  static let bufferSize = 32_768

  private let socket: FileDescriptor
  private var sequence: UInt32 = 0
  /// The current receive timeout of the socket; nil before the first dump.
  private var patience: Duration?

  init(_ netlinkProtocol: Int32, opening: Opening) throws(NetlinkError) {
    let descriptor: Int32
    do throws(Errno) {
      descriptor = try opening(netlinkProtocol)
    } catch {
      throw .refused(error)
    }
    socket = FileDescriptor(owning: descriptor)
  }

  /// Opens a real netlink socket.
  static func openSystemSocket(_ netlinkProtocol: Int32) throws(Errno) -> Int32 {
    let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)
    return try retryingOnInterrupt { Glibc.socket(AF_NETLINK, type, netlinkProtocol) }
  }

  /// Requests a dump and passes the payload of each message of type `answer` to `body`. Returns whether the
  /// kernel reported the dump as consistent.
  ///
  /// Receives into `buffer`, and allocates it if it is empty. Throws `ETIMEDOUT` at `deadline`, or if the
  /// kernel sends nothing for 5 s.
  @inline(__always)
  mutating func dump(
    _ request: (type: UInt16, payload: [UInt8]), answer: UInt16, until deadline: BootTime,
    buffer: inout [UInt8], _ body: (Span<UInt8>) throws(NetlinkError) -> Void
  ) throws(NetlinkError) -> DumpProgress {
    // Swift 6.3.1 inlines this only if this file's path sorts after that of the caller, `KernelTables.swift`: a socket then
    // costs 182 instructions instead of 203 (Tests/Benchmarks/run --quick --only instructions).
    sequence &+= 1
    try setPatience(until: deadline)
    try send(request.type, request.payload)
    if buffer.isEmpty { buffer = uninitializedBuffer(count: Self.bufferSize) }
    var reader = DumpReader(sequence: sequence)
    while true {
      let count = try receive(into: &buffer)
      let progress = try reader.read(buffer.span.extracting(0..<count), type: answer, body)
      if progress != .unfinished { return progress }
      try setPatience(until: deadline)
    }
  }

  /// Returns the current name of an interface; nil if no interface has the index.
  func interfaceName(_ index: UInt32) -> String? {
    var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    guard unsafe clinux_interface_name(socket.rawValue, index, &name) == 0 else { return nil }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Sets the timeout of the next ``receive(into:)`` to the time left until `deadline`, at most
  /// ``longestPatience``.
  private mutating func setPatience(until deadline: BootTime) throws(NetlinkError) {
    let left = min(BootTime.now.duration(to: deadline), Self.longestPatience)
    guard left > .zero else { throw .failed(.timedOut) }
    // The timeout rarely changes, so this saves the system call.
    if patience == left { return }
    // Rounded up, because zero means no timeout.
    let milliseconds = Int(left.millisecondsForTimeout)
    var limit = timeval(tv_sec: milliseconds / 1_000, tv_usec: milliseconds % 1_000 * 1_000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    guard unsafe setsockopt(socket.rawValue, SOL_SOCKET, SO_RCVTIMEO, &limit, size) == 0 else {
      throw .failed(.current)
    }
    patience = left
  }

  private func send(_ type: UInt16, _ payload: [UInt8]) throws(NetlinkError) {
    var message: [UInt8] = []
    appendBytes(of: UInt32(NetlinkHeader.size + payload.count), to: &message)
    appendBytes(of: type, to: &message)
    appendBytes(of: UInt16(NLM_F_REQUEST | NLM_F_DUMP), to: &message)
    appendBytes(of: sequence, to: &message)
    appendBytes(of: UInt32(0), to: &message)
    message += payload
    do throws(Errno) {
      _ = try retryingOnInterrupt {
        unsafe Glibc.send(socket.rawValue, message, message.count, Int32(MSG_NOSIGNAL))
      }
    } catch {
      throw .refused(error)
    }
  }

  private func receive(into buffer: inout [UInt8]) throws(NetlinkError) -> Int {
    while true {
      var sender = sockaddr_nl()
      var senderSize = socklen_t(MemoryLayout<sockaddr_nl>.size)
      let count: Int
      do throws(Errno) {
        count = try retryingOnInterrupt {
          unsafe withUnsafeMutablePointer(to: &sender) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
              unsafe recvfrom(
                socket.rawValue, &buffer, buffer.count, Int32(MSG_TRUNC), address, &senderSize)
            }
          }
        }
      } catch {
        throw .failed(error == .wouldBlock ? .timedOut : error)
      }
      // The kernel's port number is 0; datagrams from other processes are ignored.
      if Int(senderSize) >= MemoryLayout<sockaddr_nl>.size, sender.nl_pid != 0 { continue }
      if count > buffer.count { throw .malformed("a datagram of \(count) bytes") }
      if count == 0 { throw .malformed("an empty datagram") }
      return count
    }
  }
}
