import CLinux
import Glibc

/// Turns SIGTERM and SIGINT into an event to wait for, instead of the end of the process.
///
/// The signals are blocked and read from a signalfd(2): a wait that also polls ``descriptor`` wakes at once, and no code
/// runs in a signal handler. A process creates one of these at the very beginning of `main`.
package final class ShutdownSignal: @unchecked Sendable {
  private let signals: FileDescriptor
  /// Protects the properties that change, because any thread may ask ``isRequested``.
  private let lock = Lock()
  /// When the request was first seen.
  private var received: BootTime?
  /// Called once, when ``isRequested`` first sees the request, on the thread that asks. It must not use this object.
  package var whenReceived: (() -> Void)? {
    get { lock.withLock { actionOnReceipt } }
    set { lock.withLock { actionOnReceipt = newValue } }
  }
  private var actionOnReceipt: (() -> Void)?
  /// Called by ``isRequested`` for each SIGHUP that isn't a request to stop. It should only set a flag, because it can
  /// run in the middle of any operation.
  package var whenHungUp: (() -> Void)?
  /// Whether SIGHUP is among the signals.
  private let handlesHangup: Bool
  /// Whether the process was started on a terminal, and stops when the terminal is closed.
  private let endsWithTerminal: Bool

  /// How long to keep waiting for a pending answer after the request to stop: if a report is acknowledged, the next
  /// process needn't repeat it. Service managers allow more; the Greengrass nucleus allows five seconds.
  package static let grace = Duration.seconds(1)

  /// Blocks SIGTERM and SIGINT, and with `handlesHangup` also SIGHUP.
  ///
  /// SIGHUP has two meanings: the terminal was closed, which is a request to stop, or the operator wants files to be read
  /// again. It is a request to stop if the process had a terminal when it started and has none now. A process that was
  /// started by nohup(1), which ignores SIGHUP, doesn't stop with its terminal.
  package init(handlesHangup: Bool = false) throws(Errno) {
    self.handlesHangup = handlesHangup
    endsWithTerminal = handlesHangup && clinux_is_ignored(SIGHUP) == 0 && hasTerminal()
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, SIGTERM)
    unsafe sigaddset(&mask, SIGINT)
    if handlesHangup { unsafe sigaddset(&mask, SIGHUP) }
    _ = try retryingOnInterrupt { unsafe sigprocmask(SIG_BLOCK, &mask, nil) }
    let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
    signals = FileDescriptor(owning: try retryingOnInterrupt { unsafe signalfd(-1, &mask, flags) })
  }

  /// Creates a signal that is requested by a byte on `descriptor`, which must not block; for tests.
  package init(readableOnRequest descriptor: consuming FileDescriptor) {
    signals = descriptor
    handlesHangup = false
    endsWithTerminal = false
  }

  /// A descriptor for poll(2) that becomes readable when the process is asked to stop or receives a SIGHUP;
  /// ``isRequested`` distinguishes the two.
  package var descriptor: Int32 { signals.rawValue }

  /// Whether the process was asked to stop; once true, always true.
  package var isRequested: Bool {
    let wasRequested = lock.withLock { received != nil }
    if wasRequested { return true }
    let (isRequested, action) = lock.withLock { readRequests() }
    // Not while holding the lock: an action may ask the same question.
    action?()
    return isRequested
  }

  /// Returns whether the process was asked to stop, and what to do about it, which is returned only once.
  private func readRequests() -> (isRequested: Bool, action: (() -> Void)?) {
    if received != nil { return (true, nil) }
    var information = signalfd_siginfo()
    let descriptor = signals.rawValue
    let size = MemoryLayout<signalfd_siginfo>.size
    // Runs before each invocation, so it doesn't allocate. A failed read counts as "no signal yet".
    while case let count = unsafe read(descriptor, &information, size), count > 0 {
      if count == size, information.ssi_signo == UInt32(SIGCHLD) {
        Orphans.waitForAll()
        continue
      }
      if handlesHangup, information.ssi_signo == UInt32(SIGHUP), !(endsWithTerminal && !hasTerminal()) {
        whenHungUp?()
        continue
      }
      received = .now
      return (true, actionOnReceipt)
    }
    return (false, nil)
  }

  /// Makes ``isRequested`` wait for the orphans that this process adopts, and ``descriptor`` become readable when one
  /// ends.
  ///
  /// For a single-threaded process that starts children only through ``Program``.
  func waitForOrphans() throws(Errno) {
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, SIGCHLD)
    _ = try retryingOnInterrupt { unsafe sigprocmask(SIG_BLOCK, &mask, nil) }
    unsafe sigaddset(&mask, SIGTERM)
    unsafe sigaddset(&mask, SIGINT)
    if handlesHangup { unsafe sigaddset(&mask, SIGHUP) }
    _ = try retryingOnInterrupt { unsafe signalfd(signals.rawValue, &mask, 0) }
    Orphans.enable()
    // Wait for orphans that ended before this program replaced another one in this process (execve(2)).
    Orphans.waitForAll()
  }

  /// The time after which the process must not wait for anything; nil if the process wasn't asked to stop.
  package var graceEnd: BootTime? {
    _ = isRequested
    return lock.withLock { received?.advanced(by: Self.grace) }
  }
}

/// Returns whether the process has a controlling terminal (tty(4)).
private func hasTerminal() -> Bool {
  let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
  let descriptor = unsafe clinux_open("/dev/tty", flags, 0)
  if descriptor >= 0 { _ = close(descriptor) }
  return descriptor >= 0
}
