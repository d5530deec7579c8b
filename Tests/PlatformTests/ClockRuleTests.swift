import Foundation
import Testing

/// The sources that may read the system's clock, because the kernel or libcurl times their waits by that clock.
private let edges: [String: String] = [
  "AWSClient/Credentials/CredentialProcess.swift": "waits for a process",
  "DefenderAgent/Detection/Detector.swift": "waits for a process",
  "DefenderAgent/ReportLoop+Detection.swift": "gives a process a deadline",
  "DefenderAgent/ReportLoop.swift": "gives the collector a deadline on its clock",
  "DeviceDefender/CustomMetrics/MetricsCommand.swift": "waits for a process",
  "DeviceDefender/Kernel/LineReader.swift": "stops reading procfs at the collector's deadline",
  "DeviceDefender/Snapshot/NetlinkSocket.swift": "waits for the kernel",
  "HTTPClient/Connection/ConnectionLimits.swift": "times libcurl's phases",
  "HTTPClient/Connection/StopGate.swift": "is asked by libcurl",
  "HTTPClient/Exchange/CurlExchange.swift": "shares a timeout between two calls of libcurl",
  "HTTPClient/Diagnosis/ConnectionTrial.swift": "times libcurl's phases",
  "HTTPClient/TLS/KeyPairKeeper.swift": "compares with the times of files and of certificates",
  "LambdaRuntimeAsync/CancellationLimit.swift": "waits in a thread for a deadline",
  "LambdaRuntimeTesting/Context+Testing.swift": "gives a test's context a deadline",
  "LambdaRuntimeTesting/TestInvocation.swift": "gives a test's invocation a deadline",
  "LambdaRuntime/Context.swift": "remainingTime is public API without an argument",
  "LambdaRuntime/HTTP/LoopbackSocket.swift": "waits for a socket",
  "LambdaRuntime/Process/WorkerPool.swift": "waits for processes",
]

@Suite struct `The clock is an argument` {
  /// Returns the matching lines of code outside of `Platform` and the programs, with their files.
  private func lines(where matches: (Substring) -> Bool) throws -> [(file: String, line: String)] {
    let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources").path()
    let paths = try #require(FileManager.default.enumerator(atPath: sources))
    var found: [(String, String)] = []
    for case let path as String in paths where path.hasSuffix(".swift") {
      guard !["Platform/", "defender/", "LambdaEmulator/"].contains(where: { path.hasPrefix($0) }) else {
        continue
      }
      let text = try String(contentsOfFile: "\(sources)/\(path)", encoding: .utf8)
      for line in text.split(separator: "\n") where matches(line) && !line.contains("///") {
        found.append((path, line.trimmingCharacters(in: .whitespaces)))
      }
    }
    return found
  }

  @Test func `and only waits for the kernel or libcurl use the system's clock`() throws {
    // `.now` alone is also a case of SystemMetric, followed by a closure.
    let asking = try lines { line in
      ["BootTime.now", "WallTime.now", " .now.", "(.now.", " .now)", "(.now)"].contains {
        line.contains($0)
      } || line.hasSuffix(" .now")
        || line.hasSuffix("> .now {")
    }
    let offenders = asking.filter { edges[$0.file] == nil }.map { "\($0.file): \($0.line)" }
    #expect(offenders.isEmpty)
    // The list must not contain more files than necessary, either.
    #expect(Set(edges.keys).subtracting(asking.map(\.file)) == [])
  }

  @Test func `and so is the random number generator`() throws {
    let drawing = try lines { line in
      line.contains(#/\.random\(in:/#) && !line.contains("using:") && !line.contains("jitter:")
    }
    #expect(drawing.map { "\($0.file): \($0.line)" } == [])
  }
}
