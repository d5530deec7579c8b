import Foundation
import Glibc
import TestSupport
import Testing

/// The built echo function, running against a Runtime API of the test.
final class EchoFunction {
  private let process = Process()
  private let output: URL

  init(_ authority: String, _ variables: [String: String] = [:]) throws {
    process.executableURL = try builtProduct("echo-function")
    process.environment = ["AWS_LAMBDA_RUNTIME_API": authority, "SWIFT_BACKTRACE": "enable=no"]
      .merging(variables) { _, given in given }
    output = FileManager.default.temporaryDirectory.appending(path: "echo-\(UUID().uuidString).log")
    _ = FileManager.default.createFile(atPath: output.path, contents: nil)
    process.standardError = try FileHandle(forWritingTo: output)
    process.standardOutput = process.standardError
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    // What is left behind in the temporary directory harms nobody.
    try? FileManager.default.removeItem(at: output)
  }

  var processID: Int32 { process.processIdentifier }
  var isRunning: Bool { process.isRunning }
  /// What it has written so far.
  var log: String { String(decoding: logBytes, as: UTF8.self) }
  var logBytes: [UInt8] { (try? Array(Data(contentsOf: output))) ?? [] }

  func terminate() { kill(process.processIdentifier, SIGTERM) }

  /// Waits for its end; returns `exit N` or `signal N`, or says that it has not ended within 20 seconds.
  func end() -> String {
    let deadline = Date(timeIntervalSinceNow: 20)
    while process.isRunning, deadline > .now { usleep(5_000) }
    if process.isRunning { return "still running" }
    return "\(process.terminationReason == .exit ? "exit" : "signal") \(process.terminationStatus)"
  }
}

/// The executable that was built beside the tests, or the one in `DEFENDER_BINARY_DIRECTORY`.
private func builtProduct(_ name: String) throws -> URL {
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
