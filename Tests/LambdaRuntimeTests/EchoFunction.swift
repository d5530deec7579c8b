import Dispatch
import Foundation
import Glibc
import Platform
import TestSupport
import Testing

/// The echo function as a child process that uses the test's Runtime API.
final class EchoFunction {
  private let process = Process()
  private let output: URL
  /// Signalled when the process ends.
  private let ended = DispatchSemaphore(value: 0)

  /// Starts the function, or another program. If `ignoresChildren` is true, it inherits an ignored SIGCHLD.
  init(
    _ authority: String, _ variables: [String: String] = [:], program name: String = "echo-function",
    ignoresChildren: Bool = false
  ) throws {
    let program = try builtProduct(name)
    process.executableURL = ignoresChildren ? URL(filePath: "/usr/bin/env") : program
    process.arguments = ignoresChildren ? ["--ignore-signal=CHLD", program.path] : []
    process.environment = ["AWS_LAMBDA_RUNTIME_API": authority, "SWIFT_BACKTRACE": "enable=no"]
      .merging(sanitizerOptions) { _, given in given }
      .merging(variables) { _, given in given }
    output = FileManager.default.temporaryDirectory.appending(path: "echo-\(UUID().uuidString).log")
    _ = FileManager.default.createFile(atPath: output.path, contents: nil)
    process.standardError = try FileHandle(forWritingTo: output)
    process.standardOutput = process.standardError
    process.terminationHandler = { [ended] _ in ended.signal() }
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    // A file left in the temporary directory does no harm.
    try? FileManager.default.removeItem(at: output)
  }

  var processID: Int32 { process.processIdentifier }
  var isRunning: Bool { process.isRunning }
  /// Its standard output and standard error so far.
  var log: String { String(decoding: logBytes, as: UTF8.self) }
  var logBytes: [UInt8] { (try? Array(Data(contentsOf: output))) ?? [] }

  func terminate() { kill(process.processIdentifier, SIGTERM) }

  /// Waits up to a minute for the process to end. Returns `exit N`, `signal N` or `still running`.
  func end() -> String {
    guard ended.wait(timeout: .now() + 60) == .success else { return "still running" }
    ended.signal()
    return "\(process.terminationReason == .exit ? "exit" : "signal") \(process.terminationStatus)"
  }

  /// Waits until `count` lines of its log contain `words`. Returns false if that takes longer than a minute.
  func logs(_ words: String, inLines count: Int = 1) throws -> Bool {
    let flags = Int32(O_CLOEXEC | O_NONBLOCK)
    let changes = FileDescriptor(owning: try retryingOnInterrupt { inotify_init1(flags) })
    // Start watching before the first check, so that no line is missed.
    _ = try retryingOnInterrupt { unsafe inotify_add_watch(changes.rawValue, output.path, UInt32(IN_MODIFY)) }
    let deadline = BootTime.now.advanced(by: .seconds(60))
    while log.split(separator: "\n").count(where: { $0.contains(words) }) < count {
      var wait = pollfd(fd: changes.rawValue, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&wait, 1, BootTime.now.duration(to: deadline).millisecondsForTimeout) != 0 else {
        return false
      }
      var event = [UInt8](repeating: 0, count: 4_096)
      _ = unsafe read(changes.rawValue, &event, event.count)
    }
    return true
  }
}

/// The options of the sanitizers, which a program that was built with one must inherit.
private var sanitizerOptions: [String: String] {
  ProcessInfo.processInfo.environment.filter { ["ASAN_OPTIONS", "TSAN_OPTIONS"].contains($0.key) }
}

/// Returns the executable in `DEFENDER_BINARY_DIRECTORY` or, if that isn't set, the one built beside the tests.
func builtProduct(_ name: String) throws -> URL {
  if let directory = ProcessInfo.processInfo.environment["DEFENDER_BINARY_DIRECTORY"] {
    return URL(filePath: directory).appending(path: name)
  }
  let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  let candidates = [tests] + CommandLine.arguments.filter { $0.contains(".xctest") }
  for candidate in candidates {
    var directory = URL(filePath: candidate).deletingLastPathComponent()
    while directory.path != "/" {
      let product = directory.appending(path: name)
      if FileManager.default.isExecutableFile(atPath: product.path) { return product }
      directory.deleteLastPathComponent()
    }
  }
  throw CocoaError(.fileNoSuchFile)
}
