import CLinux
import Glibc

/// Writes log lines to a descriptor without ever blocking on its reader.
///
/// A pipe holds 64 KiB (pipe(7)). If nobody reads it, write(2) blocks the process for ever: no report is published and
/// SIGTERM has no effect. Here a line waits at most ``patience`` for room. After that, lines are dropped without waiting
/// until the reader is back. A line with the number of lost lines then precedes the next line.
///
/// `O_NONBLOCK` belongs to the open file description, which this process shares with its parent, so setting it on the
/// descriptor would change the parent's writes, too. A pipe or terminal is therefore opened a second time, through
/// `/proc/self/fd`. If that is not permitted, poll(2) reports whether there is room. That is exact as long as no other
/// process writes to the same pipe.
package final class LogOutput {
  /// The longest time that one line waits for room.
  package static let patience = Duration.milliseconds(100)

  /// How to write to the descriptor without blocking.
  private enum Access {
    /// A file, or a device that is always ready.
    case direct
    case socket
    /// A pipe or terminal, opened a second time with `O_NONBLOCK`.
    case reopened(Int32)
    /// A pipe or terminal that this process may not open again.
    case polled
  }

  package let descriptor: Int32
  private let mayReopen: Bool
  /// Nil before the first line: a log that is only used for its settings needs no second descriptor.
  private var access: Access?
  /// The unwritten rest of a line that was written in part.
  private var rest: ArraySlice<UInt8> = []
  private var lostLines = 0
  private var lastFailure = Errno.wouldBlock
  /// Whether the last line could not be written, so that the next one doesn't wait.
  private var isStuck = false

  /// Creates an output to a descriptor, which must stay open while this object exists. Only tests set `mayReopen` to
  /// false.
  package init(_ descriptor: Int32, mayReopen: Bool = true) {
    self.descriptor = descriptor
    self.mayReopen = mayReopen
  }

  deinit {
    if case .reopened(let own) = access { _ = close(own) }
  }

  /// Writes `line`, or counts it as lost.
  ///
  /// - Parameters:
  ///   - line: All bytes of the line, including its line feed or its frame.
  ///   - note: Returns a line that reports how many lines were lost before, and why. It is written first if any were
  ///     lost.
  package func write(_ line: [UInt8], afterLosses note: (_ lines: Int, _ reason: Errno) -> [UInt8]) {
    let end = isStuck ? nil : BootTime.now.advanced(by: Self.patience)
    guard finishRest(by: end), lostLines == 0 || send(note(lostLines, lastFailure)[...], by: end) else {
      lostLines += 1
      return
    }
    lostLines = 0
    if !rest.isEmpty || !send(line[...], by: end) { lostLines += 1 }
  }

  /// Writes the ``rest`` of the last line; returns false if some of it is still unwritten.
  private func finishRest(by end: BootTime?) -> Bool {
    guard !rest.isEmpty else { return true }
    let left = rest
    rest = []
    if !send(left, by: end) { rest = left }
    return rest.isEmpty
  }

  /// Writes `bytes` and stores what doesn't fit in ``rest``; returns false if nothing was written.
  private func send(_ bytes: ArraySlice<UInt8>, by end: BootTime?) -> Bool {
    var left = bytes
    while !left.isEmpty {
      do throws(Errno) {
        left = left.dropFirst(try writeOnce(left))
      } catch {
        if error == .wouldBlock, waitForRoom(until: end) { continue }
        isStuck = true
        lastFailure = error
        guard left.count < bytes.count else { return false }
        rest = left
        return true
      }
    }
    isStuck = false
    return true
  }

  private func writeOnce(_ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    let target: Int32
    var limit = bytes.count
    let access = access ?? findAccess()
    self.access = access
    switch access {
    case .direct, .socket: target = descriptor
    case .reopened(let own): target = own
    case .polled:
      target = descriptor
      // If poll(2) reports a pipe as writable, it accepts this many bytes without blocking.
      limit = min(limit, Int(PIPE_BUF))
      guard isWritable(within: .zero) else { throw .wouldBlock }
    }
    let isSocket = if case .socket = access { true } else { false }
    return try retryingOnInterrupt {
      unsafe bytes.withUnsafeBytes { bytes in
        isSocket
          ? unsafe Glibc.send(target, bytes.baseAddress, limit, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
          : unsafe Glibc.write(target, bytes.baseAddress, limit)
      }
    }
  }

  private func waitForRoom(until end: BootTime?) -> Bool {
    guard let end else { return false }
    let now = BootTime.now
    return now < end && isWritable(within: now.duration(to: end))
  }

  private func isWritable(within patience: Duration) -> Bool {
    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&wait, 1, patience.millisecondsForTimeout) > 0
  }

  private func findAccess() -> Access {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return .direct }
    switch status.st_mode & S_IFMT {
    case S_IFSOCK: return .socket
    case S_IFIFO: break
    case S_IFCHR where isatty(descriptor) == 1: break
    default: return .direct
    }
    guard mayReopen else { return .polled }
    let flags = O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
    let own = unsafe clinux_open("/proc/self/fd/\(descriptor)", flags, 0)
    return own < 0 ? .polled : .reopened(own)
  }
}
