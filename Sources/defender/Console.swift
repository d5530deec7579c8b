import CLinux
import Glibc
import LambdaEmulator
import Platform
import Synchronization
import WireFormats

/// Writes results to standard output and everything else to standard error, line by line, from any thread.
final class Console: Sendable {
  // One lock for both, so that lines keep their order if both are the same terminal.
  private let lock = Mutex(())
  private let showsReadableLog: Bool

  /// Creates a console. If `showsReadableLog` is true, it converts a function's log lines with ``readableLogLine(_:)``.
  init(showsReadableLog: Bool = false) {
    self.showsReadableLog = showsReadableLog
  }

  /// Prints a line of results; returns false if it couldn't be written, which also changes the exit status.
  @discardableResult
  func output(_ line: String) -> Bool {
    do throws(Errno) {
      try write(line, to: STDOUT_FILENO)
      return true
    } catch {
      LostOutput.note(error, to: "standard output")
      return false
    }
  }

  /// Prints a line about progress or a failure.
  func error(_ line: String) {
    // If standard error can't be written to, there is nowhere to report that.
    try? write(line, to: STDERR_FILENO)
  }

  /// Prints why the command failed. If standard error is a stream to the systemd journal, each line begins with the
  /// priority of an error (sd-daemon(3)), because the agent may be a service.
  func failure(_ text: String) {
    let isJournal = isJournalStream(STDERR_FILENO, Environment.ofThisProcess.value("JOURNAL_STREAM"))
    error(isJournal ? text.split(separator: "\n").map { "<3>\($0)" }.joined(separator: "\n") : text)
  }

  private func write(_ line: String, to descriptor: Int32) throws(Errno) {
    let result = lock.withLock { _ in
      Result { () throws(Errno) in try writeAll(Array("\(line)\n".utf8), to: descriptor) }
    }
    try result.get()
  }

  /// Prints an event of the emulator: reports and violations to standard output, everything else to standard error.
  func show(_ event: EmulatorEvent) {
    switch event {
    case .platform(let line): error(line)
    case .output(let line): error(showsReadableLog ? readableLogLine(line) : line)
    case .notice(let line): error("defender: \(line)")
    case .publish(let publish): show(publish)
    case .violation(let event): output(String(decoding: event, as: UTF8.self))
    }
  }

  private func show(_ publish: ReceivedPublish) {
    let topic = publish.topic.map(escapingControlCharacters) ?? "no topic"
    switch publish.verdict {
    case .accepted:
      let size = "\(publish.payload.count) bytes, QoS \(publish.qos.rawValue)"
      output(
        "Published to \(topic) (\(size)); the request's signature was verified:\n\(readable(publish.payload))"
      )
    case .refused(let status, let message, let explanation):
      let detail = explanation.map { " (\($0))" } ?? ""
      error("defender: rejected a publish to \(topic) with status \(status): \(message)\(detail)")
    }
  }
}

/// Records that output couldn't be written. A command that lost output has failed, whatever else it did.
enum LostOutput {
  /// The exit status: `EX_IOERR` of sysexits.h. AWS may still have accepted everything.
  static let status: Int32 = 74

  private struct State {
    var first: (name: String, reason: Errno)?
    var whenNoted: (@Sendable () -> Void)?
  }

  private static let state = Mutex(State())

  /// Records that output to `name` couldn't be written; only the first failure is kept.
  static func note(_ reason: Errno, to name: String) {
    let whenNoted = state.withLock { state in
      guard state.first == nil else { return nil as (@Sendable () -> Void)? }
      state.first = (name, reason)
      return state.whenNoted
    }
    whenNoted?()
  }

  /// Calls `body` at the first failure, so that a command without readers can stop.
  static func whenNoted(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.whenNoted = body }
  }

  /// Makes the process exit with ``status`` and a message if output was lost, however it ends.
  ///
  /// This includes the output of the argument parser.
  static func decideExit() {
    atexit {
      let printing = clinux_finish_output()
      if printing != 0 { LostOutput.note(Errno(rawValue: printing), to: "standard output") }
      LostOutput.endProcess()
    }
  }

  private static func endProcess() {
    guard let (name, reason) = state.withLock({ $0.first }) else { return }
    // A reader that closes the pipe, such as `head`, has all that it wants.
    if reason != .brokenPipe {
      Console().error("defender: Can't write the output to \(name): \(reason).")
    }
    _exit(status)
  }
}

/// Returns JSON indented, other text unchanged, and other bytes in Base64.
func readable(_ bytes: [UInt8]) -> String {
  if let json = try? JSONValue(parsing: bytes) { return json.prettyPrinted() }
  guard let text = String(validating: bytes, as: UTF8.self) else { return "Base64: \(base64(bytes))" }
  return text
}
