package import Platform

/// A program that the device's owner provides. The agent runs it without arguments and without a shell.
///
/// Its output and its time are limited. It inherits only variables that hold no secret. The beginning of its standard error
/// is logged, even if it fails.
package struct OwnersProgram: Equatable, Sendable {
  package static let defaultTimeout = Duration.seconds(10)
  /// The largest output, in bytes.
  package static let outputLimit = 65_536
  /// The number of bytes of its standard error that are logged for each run.
  private static let errorLimit = 4_096
  /// The number of characters before a cut that aren't logged: a secret that is cut off may be too short to
  /// be recognized.
  private static let cutMargin = 64
  /// The variables that it inherits if they are set. None of them holds a secret.
  private static let inheritedVariables = [
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "AWS_IOT_THING_NAME", "PROCFS_PATH",
  ]

  package let path: String
  package let timeout: Duration
  private let environment: [String: String]

  /// Creates a program at an absolute path; nil if the path is relative.
  package init?(path: String, timeout: Duration = defaultTimeout, environment: Environment) {
    guard path.hasPrefix("/") else { return nil }
    self.path = path
    self.timeout = timeout
    var inherited: [String: String] = [:]
    for name in Self.inheritedVariables { inherited[name] = environment[name] }
    self.environment = inherited
  }

  package static func == (left: OwnersProgram, right: OwnersProgram) -> Bool {
    left.path == right.path && left.timeout == right.timeout
  }

  /// Runs the program with `input` as its standard input, and returns its standard output.
  package func output(
    _ input: [UInt8] = [], log: Log, until end: BootTime, or shutdown: ShutdownSignal?
  ) throws(ProgramError) -> [UInt8] {
    var program = Program(path, outputLimit: Self.outputLimit)
    program.environment = environment
    program.errorLimit = Self.errorLimit + Self.cutMargin
    program.input = input
    var errors = Program.Errors()
    defer { logErrors(errors, log) }
    return try program.output(until: end, or: shutdown, errors: &errors)
  }

  /// Logs the beginning of the program's standard error as one line, with secrets removed.
  private func logErrors(_ errors: Program.Errors, _ log: Log) {
    guard errors.count > 0 else { return }
    var text = String(decoding: errors.kept, as: UTF8.self)
    while text.last?.isNewline == true { text.removeLast() }
    var shown = ServerText().shown(text, limit: .max)
    if errors.count > errors.kept.count { shown = shown.dropLast(Self.cutMargin) + "…" }
    log.warn(
      "\(path) wrote \(errors.count) byte\(errors.count == 1 ? "" : "s") to its standard error: \(shown)")
  }

  /// Returns why the program failed. If the kernel couldn't run the file, its first line or its format shows why.
  package func reason(of error: ProgramError) -> String {
    let explanation: String? =
      switch error {
      case .notStarted(.noSuchFile): reasonNotFound(path)
      // A shell and env(1) exit with status 127 if a command doesn't exist.
      case .notStarted, .exited(status: 127): missingInterpreter(of: path)
      default: nil
      }
    return explanation ?? "\(error)"
  }
}
