import CLinux
import Glibc
package import Platform

/// A connected TCP socket. Every wait is bounded, except the wait for the next event.
///
/// The socket is blocking, but each call returns within one second (`SO_RCVTIMEO`, `SO_SNDTIMEO`). The deadline is checked
/// between calls, so a reply costs one recv(2). With `MSG_WAITALL` a body of any size costs one more. To save system calls, an
/// exchange reads the clock only from its second call on, and checks for a stop request only every 50 ms after that.
package struct LoopbackSocket: ByteSource, ~Copyable {
  private let socket: FileDescriptor
  /// The time limit of the exchange, counted from its second call.
  private var allowance = Duration.zero
  private var deadline: BootTime?
  /// When to check next for a stop request, which costs a system call.
  private var nextLook = BootTime(nanosecondsSinceBoot: 0)
  private var hasCalled = false
  private var shutdown: ShutdownSignal?
  private var atShutdown = AtShutdown.end
  private var isHurried = false
  private static let lookInterval = Duration.milliseconds(50)

  /// What a stop request does to an exchange that needs more than one call.
  package enum AtShutdown {
    /// The exchange ends: nothing is lost.
    case end
    /// The exchange gets one more second, because a caller is waiting for the result. Together with the call in progress that
    /// makes two seconds, which is less than container engines wait.
    case hurry
  }

  /// Connects to the endpoint's addresses in turn and returns the first connection that succeeds.
  ///
  /// `timeout` starts after name resolution: the resolver needs 5 s to fall back to a second name server. If that counted against
  /// the time limit, no attempt would ever connect.
  package static func connected(
    to endpoint: RuntimeEndpoint, within timeout: Duration
  ) throws(ExchangeError) -> LoopbackSocket {
    var failure = ExchangeError.timedOut("connecting")
    let addresses = try addresses(of: endpoint)
    let deadline = BootTime.now.advanced(by: timeout)
    for address in addresses where deadline > .now {
      do throws(Errno) {
        return LoopbackSocket(socket: try connect(to: address))
      } catch {
        failure = error == .inProgress || error == .wouldBlock ? .timedOut("connecting") : .unreachable(error)
      }
    }
    throw failure
  }

  private init(socket: consuming FileDescriptor) {
    self.socket = socket
  }

  /// Starts an exchange, whose reads and writes fail with `timedOut` once they have used up `allowance`.
  package mutating func begin(
    allowing allowance: Duration, until shutdown: ShutdownSignal? = nil, _ atShutdown: AtShutdown = .end
  ) {
    self.allowance = allowance
    self.shutdown = shutdown
    self.atShutdown = atShutdown
    deadline = nil
    hasCalled = false
    isHurried = false
  }

  /// Throws if the exchange has no time left for another call. Checks from the second call on, so it also stops a peer that sends
  /// byte by byte and never makes a call wait.
  private mutating func checkTime(_ step: String) throws(ExchangeError) {
    guard hasCalled else {
      hasCalled = true
      return
    }
    let now = BootTime.now
    guard var end = deadline else {
      deadline = now.advanced(by: allowance)
      nextLook = now.advanced(by: Self.lookInterval)
      return
    }
    if !isHurried, let shutdown, now >= nextLook {
      nextLook = now.advanced(by: Self.lookInterval)
      if shutdown.isRequested {
        if atShutdown == .end { throw .shutdown }
        isHurried = true
        end = min(end, now.advanced(by: .seconds(1)))
      }
    }
    if end <= now { throw .timedOut(step) }
    deadline = end
  }

  private static func connect(to address: SocketAddress) throws(Errno) -> FileDescriptor {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = FileDescriptor(owning: try retryingOnInterrupt { Glibc.socket(address.family, kind, 0) })
    try set(SOL_SOCKET, SO_RCVTIMEO, to: timeval(tv_sec: 1, tv_usec: 0), on: descriptor)
    // Also bounds connect(2).
    try set(SOL_SOCKET, SO_SNDTIMEO, to: timeval(tv_sec: 1, tv_usec: 0), on: descriptor)
    try set(Int32(IPPROTO_TCP), TCP_NODELAY, to: Int32(1), on: descriptor)
    let rawSocket = descriptor.rawValue
    _ = try retryingOnInterrupt { unsafe address.withPointer { unsafe Glibc.connect(rawSocket, $0, $1) } }
    return descriptor
  }

  private static func set<Value: BitwiseCopyable>(
    _ level: Int32, _ option: Int32, to value: Value, on descriptor: borrowing FileDescriptor
  ) throws(Errno) {
    let socket = descriptor.rawValue
    var value = value
    let size = socklen_t(MemoryLayout<Value>.size)
    _ = try retryingOnInterrupt { unsafe setsockopt(socket, level, option, &value, size) }
  }

  /// Waits, without a deadline, for the first byte of a reply. Throws `shutdown` if `signals` becomes readable first.
  package borrowing func waitForAnswer(or signals: Int32) throws(ExchangeError) {
    var waits = (
      pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0),
      pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
    )
    do throws(Errno) {
      _ = try retryingOnInterrupt {
        unsafe withUnsafeMutablePointer(to: &waits) { pointer in
          unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) { unsafe poll($0, 2, -1) }
        }
      }
    } catch {
      throw .broken(error)
    }
    if waits.0.revents == 0, waits.1.revents != 0 { throw .shutdown }
  }

  /// Whether the connection is open and has no unread bytes, as it should be between two exchanges.
  package var isIdle: Bool {
    var waits = pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&waits, 1, 0) == 0
  }

  package mutating func read(
    into output: inout OutputSpan<UInt8>, filling: Bool
  ) throws(ExchangeError) {
    let flags = filling ? Int32(MSG_WAITALL) : 0
    let descriptor = socket.rawValue
    while true {
      try checkTime("receiving")
      do throws(Errno) {
        try unsafe output.withUnsafeMutableBufferPointer { buffer, count throws(Errno) in
          let free = unsafe UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
          count += try retryingOnInterrupt { unsafe recv(descriptor, free.baseAddress, free.count, flags) }
        }
        return
      } catch {
        guard error == .wouldBlock else { throw .broken(error) }
      }
    }
  }

  /// Writes the three parts of a request, or of a chunk, in as few system calls as the socket allows.
  package mutating func send(_ head: [UInt8], _ body: [UInt8], _ tail: [UInt8] = []) throws(ExchangeError) {
    let total = head.count + body.count + tail.count
    var sent = 0
    hasCalled = false
    while sent < total {
      try checkTime("sending")
      do throws(Errno) {
        sent += try sendOnce(head, body, tail, from: sent)
      } catch {
        guard error == .wouldBlock else { throw .broken(error) }
      }
    }
  }

  /// Makes one call. Uses sendmsg(2) rather than writev(2), because it can suppress SIGPIPE.
  private borrowing func sendOnce(
    _ head: [UInt8], _ body: [UInt8], _ tail: [UInt8], from start: Int
  ) throws(Errno) -> Int {
    let descriptor = socket.rawValue
    return try retryingOnInterrupt {
      unsafe head.withUnsafeBytes { head in
        unsafe body.withUnsafeBytes { body in
          unsafe tail.withUnsafeBytes { tail in
            var skipped = start
            var parts = unsafe (
              vector(head, after: &skipped), vector(body, after: &skipped), vector(tail, after: &skipped)
            )
            return unsafe withUnsafeMutablePointer(to: &parts) { pointer in
              unsafe pointer.withMemoryRebound(to: iovec.self, capacity: 3) { parts in
                var message = unsafe msghdr()
                unsafe message.msg_iov = parts
                unsafe message.msg_iovlen = 3
                return unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
              }
            }
          }
        }
      }
    }
  }
}

/// Returns the rest of `bytes` after the first `skipped` of them, and subtracts the number skipped here from `skipped`.
private func vector(_ bytes: UnsafeRawBufferPointer, after skipped: inout Int) -> iovec {
  let start = min(skipped, bytes.count)
  skipped -= start
  let rest = unsafe UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: bytes[start...]))
  return unsafe iovec(iov_base: rest.baseAddress, iov_len: rest.count)
}
