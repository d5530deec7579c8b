package import WireFormats
import Foundation
import Glibc
import Platform

/// The fake Greengrass nucleus (`Tests/Conformance/greengrass/fake_nucleus.py`), started for one test.
package final class FakeNucleus {
  package enum Manner: String, CaseIterable, Sendable {
    case classic, lite
  }

  package enum Failure: Error {
    case ended
    case nothingHappened(awaited: String, seen: [String])
  }

  package static let token = "0123456789ABCDEF"
  /// The directory of the socket and the other files of this nucleus.
  package let directory: String
  package let socketPath: String
  /// All events so far.
  package private(set) var events: [JSONValue] = []

  private let process = Process()
  private let commands = Pipe()
  private let output = Pipe()
  private var unread: [UInt8] = []
  private var nextIndex = 0

  /// Starts it and waits until it listens.
  ///
  /// `arguments` are further arguments of the script, which may end in `--run` and the component's command. `environment` contains
  /// variables for the component in addition to the nucleus's own.
  package init(
    _ manner: Manner, configuration: String = "{}", arguments: [String] = [],
    environment: [String: String] = [:]
  ) throws {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    // Short, because the length of a socket's path is limited.
    var template = Array("/tmp/nucleus-XXXXXX".utf8CString)
    guard let path = unsafe mkdtemp(&template) else { throw Errno.current }
    directory = unsafe String(cString: path) + "/"
    socketPath = directory + "ipc.socket"
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      environment.map { "\($0.key)=\($0.value)" } + [
        "python3", tests.appending(path: "Conformance/greengrass/fake_nucleus.py").path(),
        "--socket", socketPath, "--manner", manner.rawValue, "--token", Self.token,
        "--configuration", configuration,
      ] + arguments
    process.standardInput = commands
    process.standardOutput = output
    try process.run()
    _ = try next("listening")
  }

  deinit {
    // The nucleus exits at the end of its standard input, and ends its component.
    try? commands.fileHandleForWriting.close()
    try? output.fileHandleForReading.close()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Sends it a command (a JSON object, see `Commands` in the script) and waits until it has been carried out.
  package func `do`(_ command: String) throws {
    try writeAll(Array((command + "\n").utf8), to: commands.fileHandleForWriting.fileDescriptor)
    _ = try next("done")
  }

  /// Waits for the next event called `name` after the last one returned, and skips other events.
  package func next(_ name: String, within timeout: Duration = .seconds(20)) throws -> JSONValue {
    let deadline = BootTime.now.advanced(by: timeout)
    while true {
      while nextIndex < events.count {
        defer { nextIndex += 1 }
        if events[nextIndex]["event"]?.string == name { return events[nextIndex] }
      }
      guard try read(until: deadline) else {
        throw Failure.nothingHappened(awaited: name, seen: events.suffix(20).map { $0.prettyPrinted() })
      }
    }
  }

  /// Reads the available events into ``events``.
  package func catchUp() throws {
    while try read(until: BootTime.now.advanced(by: .milliseconds(200))) {}
  }

  /// Returns the number of events called `name` so far.
  package func count(_ name: String) -> Int {
    events.count { $0["event"]?.string == name }
  }

  private func read(until deadline: BootTime) throws -> Bool {
    let descriptor = output.fileHandleForReading.fileDescriptor
    let wake = try wait(for: descriptor, toBe: .readable, until: deadline, or: nil)
    guard wake == .ready else { return false }
    guard let data = try output.fileHandleForReading.readToAvailable(descriptor) else { throw Failure.ended }
    unread += data
    while let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
      events.append(try JSONValue(parsing: Array(unread[..<end])))
      unread.removeFirst(end + 1)
    }
    return true
  }
}

extension FileHandle {
  /// Reads the available bytes. Returns nil at the end.
  fileprivate func readToAvailable(_ descriptor: Int32) throws -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = try retryingOnInterrupt {
      unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
    }
    return count == 0 ? nil : Array(bytes.prefix(count))
  }
}
