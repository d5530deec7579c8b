import CLinux
import Glibc
import Platform

/// Writes a last log line that names the current invocation when the process traps.
///
/// A Swift trap (an index out of range, an overflow, `fatalError`) ends the process with a signal, and Lambda reports no more
/// than "exited". The signal handler writes one line and then lets the signal take its usual course: end the process or start
/// Swift's backtracer. The code that runs in signal handlers is in `crash_note.h`, which explains why it is C.
enum CrashNote {
  /// The mark that the signal handlers read. Never released.
  private nonisolated(unsafe) static var mark: InvocationMark?

  /// Starts reporting crashes to `log`, if it writes to a descriptor. Only the first call in a process has an effect.
  static func activate(for log: Log, _ mark: InvocationMark) {
    guard let descriptor = log.descriptor, unsafe self.mark == nil else { return }
    unsafe self.mark = mark
    unsafe clinux_note_crashes(
      descriptor, log.format == .json ? 1 : 0, log.isFramed ? 1 : 0, mark.pointer)
  }

  /// Logs an error about the current invocation, from any thread. Does nothing unless `activate` was called.
  static func write(_ words: StaticString) {
    unsafe words.withCString { unsafe clinux_note_error($0) }
  }

  /// Makes an unblocked stop signal end the process after `seconds`, with `words` as its last log line.
  static func limitStop(seconds: UInt32, _ words: StaticString) {
    unsafe words.withCString { unsafe clinux_limit_stop(seconds, $0) }
  }
}

extension StaticString {
  /// Passes the text to `body` as a C string. The pointer stays valid: a static string is NUL-terminated and never freed.
  fileprivate func withCString(_ body: (UnsafePointer<CChar>) -> Void) {
    guard hasPointerRepresentation else { return }
    unsafe utf8Start.withMemoryRebound(to: CChar.self, capacity: utf8CodeUnitCount + 1) { unsafe body($0) }
  }
}
