import CLinux
import Glibc
import Platform

/// Ends the process, with status 0, where it was asked to stop and its handler doesn't come to an end.
///
/// The runtime's one thread is the handler's while it works, so this takes a second one, which waits in poll(2) and touches
/// nothing that the first one uses. It is started with the first invocation, or the end: until then it would only cost time.
/// Lambda leaves a process two seconds and then kills it; the limit is for all others, and below the ten seconds after
/// which container engines do.
///
/// While the function is made there is no second thread, whose start takes 40 microseconds: see ``boundingInitialisation(_:)``.
final class StopLimit {
  static let limit = Duration.seconds(8)
  fileprivate static let words: StaticString = "asked to stop 8 seconds ago, the process ends unfinished"

  private let shutdown: ShutdownSignal
  private var isStarted = false

  init(_ shutdown: ShutdownSignal) {
    self.shutdown = shutdown
  }

  /// Begins to watch, in the first call; a watch that can't begin is a warning in `log`.
  func start(_ log: Log) {
    guard !isStarted else { return }
    isStarted = true
    do throws(Errno) {
      try startThread()
    } catch {
      log.warn("a handler that goes on after a request to stop will not be ended: \(error)")
    }
  }

  private func startThread() throws(Errno) {
    let noted = try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC)) }
    // Who reads the signal first takes it from the other; so the first thread passes on that it has.
    let pass = {
      var one: UInt64 = 1
      _ = unsafe write(noted, &one, MemoryLayout<UInt64>.size)
    }
    if shutdown.isRequested { pass() } else { shutdown.whenReceived = pass }
    // Both live as long as the process, and so does what the thread is given.
    let descriptors = UnsafeMutablePointer<(signals: Int32, noted: Int32)>.allocate(capacity: 1)
    unsafe descriptors.initialize(to: (shutdown.descriptor, noted))
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, 65_536)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    // A signal handler of the function's has no business on this small stack.
    var all = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let code = unsafe pthread_create(&thread, &attributes, watch, descriptors)
    if code != 0 { throw Errno(rawValue: code) }
  }

  /// Makes the function, with the signals that ask to stop let through to this thread: an initialiser that hangs would
  /// else be deaf to them, for they are blocked.
  ///
  /// The handler (`crash_note.h`) blocks them again in the thread that it interrupted, and sends the signal again: there it
  /// waits, pending, for the ``ShutdownSignal``. That holds for threads, too, that an initialiser started and that therefore
  /// don't block them.
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

  /// Ends the process after the limit, without what exit(3) would run beside the handler.
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
