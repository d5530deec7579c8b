import CLinux
import Glibc
import Platform

/// A last line of log when the process dies of a trap: which invocation it was serving.
///
/// A Swift trap (an index out of range, an overflow, `fatalError`) ends the process with a signal, and Lambda then knows
/// no more than "exited". The handler writes one line and lets the signal do what it would have done: end the process, or
/// have Swift's backtracer come. What runs in signal handlers is `crash_note.h`, which says why it is C.
enum CrashNote {
  /// The mark that the handlers read; it has to stay.
  private nonisolated(unsafe) static var mark: InvocationMark?

  /// Notes crashes in `log`, if that writes to a descriptor. A process has one note, made by the first caller.
  static func activate(for log: Log, _ mark: InvocationMark) {
    guard let descriptor = log.descriptor, unsafe self.mark == nil else { return }
    unsafe self.mark = mark
    unsafe clinux_note_crashes(
      descriptor, log.format == .json ? 1 : 0, log.isFramed ? 1 : 0, mark.pointer)
  }

  /// Writes an error about the invocation under way, from any thread; nothing if no note was made.
  static func write(_ words: StaticString) {
    unsafe words.withCString { unsafe clinux_note_error($0) }
  }

  /// Has a request to stop, if it is not blocked, end the process after `seconds`, with `words` as the last line of log.
  static func limitStop(seconds: UInt32, _ words: StaticString) {
    unsafe words.withCString { unsafe clinux_limit_stop(seconds, $0) }
  }
}

extension StaticString {
  /// Lends the text, which has a NUL after its end, as a C string that stays valid.
  fileprivate func withCString(_ body: (UnsafePointer<CChar>) -> Void) {
    guard hasPointerRepresentation else { return }
    unsafe utf8Start.withMemoryRebound(to: CChar.self, capacity: utf8CodeUnitCount + 1) { unsafe body($0) }
  }
}
