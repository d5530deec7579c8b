import CLinux
import Glibc
import Platform

/// Ends the process with status 0 if its handler is still running 8 seconds after a stop request.
///
/// The handler occupies the runtime's only thread, so a second thread waits for the request in poll(2). It shares nothing
/// with the first thread. It starts with the first invocation, or at shutdown, to keep its cost out of the start-up time.
/// Lambda kills a process at most 500 ms after the request. The limit is for other environments, and is below the ten seconds that
/// container engines wait.
///
/// Initialisation has no second thread, because starting one takes 40 microseconds: see ``boundingInitialisation(_:)``.
final class StopLimit {
  static let limit = Duration.seconds(8)
  fileprivate static let words: StaticString =
    "Ending the process: the function is still running 8 seconds after a stop request."

  private let shutdown: ShutdownSignal
  private var isStarted = false

  init(_ shutdown: ShutdownSignal) {
    self.shutdown = shutdown
  }

  /// Starts the thread on the first call. Logs a warning if the thread can't be started.
  func start(_ log: Log) {
    guard !isStarted else { return }
    isStarted = true
    do throws(Errno) {
      try startThread()
    } catch {
      log.warn("Can't limit how long the handler runs after a stop request: \(error).")
    }
  }

  private func startThread() throws(Errno) {
    let noted = try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC)) }
    // Only one of the threads can read the signal. If the first thread reads it, it notifies the second.
    let pass = {
      var one: UInt64 = 1
      _ = unsafe write(noted, &one, MemoryLayout<UInt64>.size)
    }
    if shutdown.isRequested { pass() } else { shutdown.whenReceived = pass }
    // The two descriptors live as long as the process, and so does the thread's argument.
    let descriptors = UnsafeMutablePointer<(signals: Int32, noted: Int32)>.allocate(capacity: 1)
    unsafe descriptors.initialize(to: (shutdown.descriptor, noted))
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, 65_536)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    // This stack is too small for a signal handler that the function installs.
    let code = withSignalsBlocked { unsafe pthread_create(&thread, &attributes, watch, descriptors) }
    if code != 0 { throw Errno(rawValue: code) }
  }

  /// Creates the function with SIGTERM and SIGINT unblocked in this thread, so that they can end an initialiser that hangs.
  ///
  /// The signal handler (`crash_note.h`) starts the time limit, blocks both signals again in the thread that it interrupted, and
  /// re-sends the signal, which stays pending for the ``ShutdownSignal``. The same applies to threads that the initialiser starts:
  /// they inherit the unblocked signals.
  static func boundingInitialisation<Function: ~Copyable>(_ make: () throws -> Function) rethrows -> Function
  {
    CrashNote.limitStop(seconds: UInt32(limit.components.seconds), words)
    var requests = sigset_t()
    unsafe sigaddset(&requests, SIGTERM)
    unsafe sigaddset(&requests, SIGINT)
    unsafe pthread_sigmask(SIG_UNBLOCK, &requests, nil)
    defer { unsafe pthread_sigmask(SIG_BLOCK, &requests, nil) }
    return try make()
  }

  /// Ends the process after the limit. Uses _exit(2), because exit(3) would run exit handlers while the handler is still running.
  fileprivate static func endProcess() -> Never {
    _ = poll(nil, 0, limit.millisecondsForTimeout)
    CrashNote.write(words)
    _exit(0)
  }
}

private func watch(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument = unsafe argument else { return nil }
  let descriptors = unsafe argument.load(as: (signals: Int32, noted: Int32).self)
  var waits = (
    pollfd(fd: descriptors.signals, events: Int16(POLLIN), revents: 0),
    pollfd(fd: descriptors.noted, events: Int16(POLLIN), revents: 0)
  )
  while waits.0.revents == 0, waits.1.revents == 0 {
    unsafe withUnsafeMutablePointer(to: &waits) { pointer in
      unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) { _ = unsafe poll($0, 2, -1) }
    }
  }
  StopLimit.endProcess()
}
