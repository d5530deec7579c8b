/// What all logs that write to the same place share. Any thread may use it.
final class LogState: @unchecked Sendable {
  enum Destination {
    case closure((Log.Level, [UInt8]) -> Void)
    case output(LogOutput)
    /// One output for lines below `WARN`, the other for the rest.
    case split(LogOutput, LogOutput)
  }

  /// Protects all other properties, and keeps the lines of several threads apart.
  private let lock = Lock()
  private let destination: Destination
  private var currentRequestID: String?
  private var isPipeShared = false
  /// Drops repeated warnings and errors; nil if all are logged.
  private var repeats: RepeatFilter?
  /// Whether the descriptor is a stream to the systemd journal.
  private var isJournal = false

  init(_ destination: Destination) {
    self.destination = destination
  }

  var requestID: String? {
    get { lock.withLock { currentRequestID } }
    set { lock.withLock { currentRequestID = newValue } }
  }

  var sharesPipe: Bool {
    get { lock.withLock { isPipeShared } }
    set { lock.withLock { isPipeShared = newValue } }
  }

  func becomeDaemonLog(isJournal: Bool) {
    lock.withLock {
      repeats = RepeatFilter(interval: .seconds(240))
      self.isJournal = isJournal
    }
  }

  /// Writes a line. A note about lost lines has the level `noteLevel`.
  func write(_ line: LogLine, noteLevel: Log.Level, filtersRepeats: Bool) {
    lock.withLock {
      if filtersRepeats, repeats?.allows(line.text, at: .now) == false { return }
      switch destination {
      case .closure(let write): write(line.level, line.bytes)
      case .output(let output): write(line, to: output, noteLevel)
      case .split(let calm, let grave): write(line, to: line.level < .warn ? calm : grave, noteLevel)
      }
    }
  }

  private func write(_ line: LogLine, to output: LogOutput, _ noteLevel: Log.Level) {
    for piece in isPipeShared ? line.pieces() : [line] {
      output.write(piece.encoded(isJournal: isJournal)) { lines, reason in
        let cause = reason == .wouldBlock ? "nobody read the log" : "the log could not be written: \(reason)"
        let note = LogLine(
          level: noteLevel, format: line.format, isFramed: line.isFramed, requestID: line.requestID,
          text: "Lost \(lines) log line\(lines == 1 ? "" : "s"): \(cause).", fields: [])
        return note.encoded(isJournal: isJournal)
      }
    }
  }
}
