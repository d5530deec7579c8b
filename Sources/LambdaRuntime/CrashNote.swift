import CLinux
import Glibc
import Platform

/// A last line of log when the process dies of a trap: which invocation it was serving.
///
/// A Swift trap (an index out of range, an overflow, `fatalError`) ends the process with a signal, and Lambda then knows
/// no more than "exited". The handler writes one line and lets the signal do what it would have done: end the process, or
/// have Swift's backtracer come. It calls nothing but clock_gettime(2), write(2) and sigaction(2), and touches nothing but
/// memory that was made ready before, because the trap may have struck anywhere.
enum CrashNote {
  private static let signals = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV]

  /// Writes a line about the invocation under way, from any thread; nothing where no note was made.
  static func write(_ level: Log.Level, _ words: StaticString) {
    guard let note = unsafe note else { return }
    unsafe writeLine(note, level) { $0.append(words) }
  }

  /// Notes crashes in `log`, where that writes to a descriptor. A process has one note, made by the first caller.
  static func activate(for log: Log, _ mark: InvocationMark) {
    guard let descriptor = log.descriptor, unsafe note == nil else { return }
    let new = UnsafeMutablePointer<Note>.allocate(capacity: 1)
    unsafe new.initialize(
      to: Note(
        descriptor: descriptor, isJSON: log.format == .json, isFramed: log.isFramed, mark: mark,
        requestID: UnsafePointer(mark.pointer)))
    unsafe note = new
    // On a stack of its own, for a stack that has no room left is one of the reasons to be here.
    var stack = unsafe stack_t()
    unsafe stack.ss_size = 32_768
    unsafe stack.ss_sp = .allocate(byteCount: stack.ss_size, alignment: 16)
    unsafe sigaltstack(&stack, nil)
    for (index, signal) in signals.enumerated() {
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { writeNote($0) }
      action.sa_flags = SA_ONSTACK
      unsafe sigaction(signal, &action, &new.pointee.previous[index])
    }
  }
}

@unsafe
private struct Note {
  let descriptor: Int32
  let isJSON: Bool
  let isFramed: Bool
  /// Kept for what the next member points to.
  let mark: InvocationMark
  /// Ends with a NUL.
  let requestID: UnsafePointer<UInt8>
  /// What the signals did before, in the order of ``CrashNote/signals``.
  var previous: InlineArray<6, sigaction> = .init(repeating: sigaction())
}

/// Made once, before the handler that reads it is set.
private nonisolated(unsafe) var note: UnsafeMutablePointer<Note>?

private func writeNote(_ signal: Int32) {
  guard let note = unsafe note else { return }
  let name: StaticString
  let index: Int
  switch signal {
  case SIGILL: (index, name) = (0, "SIGILL, a trap")
  case SIGTRAP: (index, name) = (1, "SIGTRAP, a trap")
  case SIGABRT: (index, name) = (2, "SIGABRT")
  case SIGBUS: (index, name) = (3, "SIGBUS")
  case SIGFPE: (index, name) = (4, "SIGFPE")
  default: (index, name) = (5, "SIGSEGV")
  }
  unsafe writeLine(note, .fatal) { line in
    let isServing = unsafe note.pointee.requestID[0] != 0
    line.append(
      isServing ? "the handler ended the process with " : "the process ends outside of an invocation with ")
    line.append(name)
  }
  unsafe sigaction(signal, &note.pointee.previous[index], nil)
  // Held back until the handler returns; a fault would come again by itself, but a kill(2) wouldn't.
  raise(signal)
}

private func writeLine(
  _ note: UnsafeMutablePointer<Note>, _ level: Log.Level, _ message: (inout NoteLine) -> Void
) {
  let isJSON = unsafe note.pointee.isJSON
  let requestID = unsafe note.pointee.requestID
  let isServing = unsafe requestID[0] != 0
  let now = WallTime.now.nanosecondsSinceEpoch
  var line = NoteLine()
  if unsafe note.pointee.isFramed { line.bytes = 16 }
  if isJSON {
    line.append(#"{"timestamp":""#)
    line.append(timeOf: now)
    line.append(#"","level":""#)
    line.append(level == .fatal ? "FATAL" : "ERROR")
    line.append(#"","message":""#)
  } else {
    line.append(level == .fatal ? "[FATAL]\t" : "[ERROR]\t")
    line.append(timeOf: now)
    line.append("\t")
  }
  if !isJSON, isServing {
    unsafe line.append(upToNUL: requestID)
    line.append("\t")
  }
  message(&line)
  if isJSON, isServing {
    line.append(#"","requestId":""#)
    unsafe line.append(upToNUL: requestID)
  }
  line.append(isJSON ? "\"}" : "")
  if unsafe note.pointee.isFramed {
    line.setFrame(level, isJSON: isJSON, microseconds: now / 1_000)
  } else {
    line.append("\n")
  }
  unsafe line.write(to: note.pointee.descriptor)
}

/// A line made in place, of numbers and of bytes that are there already: nothing here allocates.
private struct NoteLine {
  private var storage = InlineArray<768, UInt8>(repeating: 0)
  var bytes = 0

  mutating func append(_ byte: UInt8) {
    guard bytes < storage.count else { return }
    storage[bytes] = byte
    bytes += 1
  }

  mutating func append(_ text: StaticString) {
    var index = 0
    while index < text.utf8CodeUnitCount {
      append(unsafe text.utf8Start[index])
      index += 1
    }
  }

  /// Appends what is before the NUL.
  mutating func append(upToNUL text: UnsafePointer<UInt8>) {
    var index = 0
    while index < InvocationMark.capacity, unsafe text[index] != 0 {
      append(unsafe text[index])
      index += 1
    }
  }

  mutating func append(_ number: Int64, digits: Int, then separator: UInt8) {
    var divisor: Int64 = 1
    for _ in 1..<digits { divisor *= 10 }
    while divisor > 0 {
      append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
    append(separator)
  }

  /// Appends a time such as `2026-01-02T03:04:05.678Z`; CivilTime would make strings.
  mutating func append(timeOf nanoseconds: Int64) {
    let milliseconds = max(0, nanoseconds / 1_000_000)
    let days = milliseconds / 86_400_000
    // Days since 1 March of the year 0, in eras of 400 years (146,097 days): then leap days come last.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    append(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), digits: 4, then: UInt8(ascii: "-"))
    append(month, digits: 2, then: UInt8(ascii: "-"))
    append(dayOfYear - (153 * marchMonth + 2) / 5 + 1, digits: 2, then: UInt8(ascii: "T"))
    append(milliseconds / 3_600_000 % 24, digits: 2, then: UInt8(ascii: ":"))
    append(milliseconds / 60_000 % 60, digits: 2, then: UInt8(ascii: ":"))
    append(milliseconds / 1_000 % 60, digits: 2, then: UInt8(ascii: "."))
    append(milliseconds % 1_000, digits: 3, then: UInt8(ascii: "Z"))
  }

  /// Writes the head of a telemetry frame into the first 16 bytes.
  mutating func setFrame(_ level: Log.Level, isJSON: Bool, microseconds: Int64) {
    let end = bytes
    bytes = 0
    let word: Int64 = 0xA55A_0002 | Int64(level.rawValue + 1) << 2 | (isJSON ? 0 : 1)
    append(bigEndian: word, count: 4)
    append(bigEndian: Int64(end - 16), count: 4)
    append(bigEndian: microseconds, count: 8)
    bytes = end
  }

  private mutating func append(bigEndian value: Int64, count: Int) {
    var shift = 8 * (count - 1)
    while shift >= 0 {
      append(UInt8(truncatingIfNeeded: value >> Int64(shift)))
      shift -= 8
    }
  }

  func write(to descriptor: Int32) {
    unsafe storage.span.withUnsafeBytes { line in
      _ = unsafe Glibc.write(descriptor, line.baseAddress, bytes)
    }
  }
}
