import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing

/// A built program of this package: `bootstrap` or `defender`.
struct BuiltProgram: Sendable {
  let path: String

  /// Finds the program called `name` in `DEFENDER_BINARY_DIRECTORY`, or beside the tests if that isn't set.
  init(_ name: String) throws {
    let directory =
      try Environment.ofThisProcess.value("DEFENDER_BINARY_DIRECTORY") ?? Self.directoryOfTests()
    path = "\(directory)/\(name)"
    try #require(unsafe access(path, X_OK) == 0, "\(path) isn't built")
  }

  /// The program at `path`.
  init(path: String) {
    self.path = path
  }

  private static func directoryOfTests() throws -> String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = try retryingOnInterrupt { unsafe readlink("/proc/self/exe", &path, path.count) }
    let text = String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.split(separator: "/").dropLast().map { "/\($0)" }.joined()
  }

  /// The result of running a program.
  struct Result: Sendable {
    let status: ProcessStatus
    /// Its standard output.
    let output: String
    /// The lines of its standard error.
    let errors: [String]

    /// Whether it exited with a status other than 0. False if a signal ended it.
    var isErrorExit: Bool {
      if case .code(let code) = status { code != 0 } else { false }
    }

    var errorText: String { errors.joined(separator: "\n") }
  }

  /// Runs the program until it exits. Kills it if that takes longer than `limit`.
  ///
  /// - Parameters:
  ///   - arguments: The arguments after the program's name.
  ///   - environment: The complete environment.
  ///   - input: The contents of standard input.
  ///   - limit: The maximum duration.
  ///   - signals: Signals to send to the program when they arrive in this stream.
  ///   - onErrorLine: Receives each line of standard error when it is written.
  /// - Returns: The exit status and the output.
  /// - Throws: An error if the program can't be started.
  func run(
    _ arguments: [String] = [], environment: [String: String] = [:], input: [UInt8] = [],
    limit: Duration = .seconds(60), signals: AsyncStream<Int32>? = nil,
    onErrorLine: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> Result {
    try await Turnstile.processes.pass {
      try await runNow(arguments, environment, input, limit, signals, onErrorLine)
    }
  }

  private func runNow(
    _ arguments: [String], _ environment: [String: String], _ input: [UInt8], _ limit: Duration,
    _ signals: AsyncStream<Int32>?, _ onErrorLine: @escaping @Sendable (String) -> Void
  ) async throws -> Result {
    let files = try TemporaryDirectory()
    let inputFile = try files.write("input", input)
    let outputFile = try files.write("output", "")
    // ChildProcess has one pipe for both outputs. So start a shell that redirects standard output to a file and then becomes the program.
    let redirect = #"exec 3>"$1" <"$2"; shift 2; exec "$@" >&3 3>&-"#
    let process = try await ChildProcess.start(
      "/bin/sh", arguments: ["-c", redirect, "sh", outputFile, inputFile, path] + arguments,
      environment: ["AWS_EC2_METADATA_DISABLED": "true"].merging(environment) { _, given in given })
    let errors = Mutex<[String]>([])
    let overdue = Task {
      if (try? await Task.sleep(for: limit)) != nil { process.send(SIGKILL) }
    }
    let sender = signals.map { signals in
      Task { for await signal in signals { process.send(signal) } }
    }
    let status = await process.wait { line in
      errors.withLock { $0.append(line) }
      onErrorLine(line)
    }
    overdue.cancel()
    sender?.cancel()
    let output = try readFile(outputFile, limit: 1 << 24)
    return Result(
      status: status, output: String(decoding: output, as: UTF8.self), errors: errors.withLock { $0 })
  }
}
