import CLinux
import Glibc

/// SIGTERM and SIGINT as something to wait for, instead of something that ends the process.
///
/// The signals are blocked and read from a signalfd(2): a wait that polls ``descriptor`` beside its own wakes at
/// once, and nothing runs in a signal handler. A process has one of these, made first thing in `main`.
package final class ShutdownSignal {
  private let signals: FileDescriptor
  /// When the request was seen first.
  private var received: BootTime?
  /// Is called once, when the request is first seen by ``isRequested``.
  package var whenReceived: (() -> Void)?
  /// Is called for each SIGHUP that is no request to stop, when ``isRequested`` sees it. It should only take note: this may
  /// be in the middle of anything.
  package var whenHungUp: (() -> Void)?
  /// Whether SIGHUP is among the signals.
  private let handlesHangup: Bool
  /// Whether the process was started on a terminal, and ends with it.
  private let endsWithTerminal: Bool

  /// How long an answer on its way is still waited for: a report that is acknowledged needn't be told again by the next
  /// process. Service managers allow more, the Greengrass nucleus five seconds.
  package static let grace = Duration.seconds(1)

  /// Blocks SIGTERM and SIGINT, and with `handlesHangup` SIGHUP.
  ///
  /// SIGHUP has two meanings: the terminal was closed, which is a request to stop, and the operator wants files to be read
  /// again. A process that had a terminal when it started and now has none was hung up; one started by nohup(1), which
  /// ignores SIGHUP, doesn't end with its terminal.
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

  /// A request to stop that comes as a byte on `descriptor`, which doesn't block; for tests.
  package init(readableOnRequest descriptor: consuming FileDescriptor) {
    signals = descriptor
    handlesHangup = false
    endsWithTerminal = false
  }

  /// Becomes readable when the process was asked to stop, or got a SIGHUP: ``isRequested`` tells which. For poll(2).
  package var descriptor: Int32 { signals.rawValue }

  /// Whether the process was asked to stop; once true, always true.
  package var isRequested: Bool {
    if received != nil { return true }
    var information = signalfd_siginfo()
    let descriptor = signals.rawValue
    let size = MemoryLayout<signalfd_siginfo>.size
    // Asked before each invocation: so without an allocation, and a failure says the same as "nothing there yet".
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
      whenReceived?()
      return true
    }
    return false
  }

  /// Has ``isRequested`` wait for the orphans that this process adopts, and ``descriptor`` become readable when one ends.
  ///
  /// For a process of one thread that starts no other children than by ``Program``.
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
    // Those that came before this process was this program.
    Orphans.waitForAll()
  }

  /// When nothing may be waited for any more; nil where the process wasn't asked to stop.
  package var graceEnd: BootTime? { isRequested ? received?.advanced(by: Self.grace) : nil }
}

/// Whether the process has a controlling terminal (tty(4)).
private func hasTerminal() -> Bool {
  let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
  let descriptor = unsafe clinux_open("/dev/tty", flags, 0)
  if descriptor >= 0 { _ = close(descriptor) }
  return descriptor >= 0
}
