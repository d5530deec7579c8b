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

  /// How long an answer on its way is still waited for: a report that is acknowledged needn't be told again by the next
  /// process. Service managers allow more, the Greengrass nucleus five seconds.
  package static let grace = Duration.seconds(1)

  package init() throws(Errno) {
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, SIGTERM)
    unsafe sigaddset(&mask, SIGINT)
    _ = try retryingOnInterrupt { unsafe sigprocmask(SIG_BLOCK, &mask, nil) }
    let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
    signals = FileDescriptor(owning: try retryingOnInterrupt { unsafe signalfd(-1, &mask, flags) })
  }

  /// A request to stop that comes as a byte on `descriptor`, which doesn't block; for tests.
  package init(readableOnRequest descriptor: consuming FileDescriptor) {
    signals = descriptor
  }

  /// Becomes readable when the process was asked to stop; for poll(2).
  package var descriptor: Int32 { signals.rawValue }

  /// Whether the process was asked to stop; once true, always true.
  package var isRequested: Bool {
    if received != nil { return true }
    var information = signalfd_siginfo()
    let descriptor = signals.rawValue
    // Asked before each invocation: so without an allocation, and a failure says the same as "nothing there yet".
    let count = unsafe read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size)
    if count > 0 {
      received = .now
      whenReceived?()
    }
    return received != nil
  }

  /// When nothing may be waited for any more; nil where the process wasn't asked to stop.
  package var graceEnd: BootTime? { isRequested ? received?.advanced(by: Self.grace) : nil }
}
