import Glibc
import Platform
import TestSupport
import Testing

/// An agent in a separate process, which a test stops or kills.
///
/// Doesn't use tasks, because on a busy machine a task may start seconds later.
final class RunningAgent {
  private let directory: TemporaryDirectory
  private let program: ServerProgram

  /// Starts `defender agent` for the thing `pump-7`, with a report every 0.1 s.
  convenience init(_ arguments: [String], _ environment: [String: String]) throws {
    try self.init(
      try BuiltProgram("defender").path, ["agent", "-t", "pump-7", "-i", "0.1"] + arguments, environment)
  }

  /// Starts the program at `path`, which must be an agent or become one.
  init(_ path: String, _ arguments: [String], _ environment: [String: String]) throws {
    directory = try TemporaryDirectory()
    let own = [
      "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.01", "DEFENDER_JITTER": "0",
      "AWS_EC2_METADATA_DISABLED": "true",
    ]
    program = try ServerProgram(
      path, arguments, environment: own.merging(environment) { $1 }, log: "\(directory.path)/log")
  }

  var log: String { String(decoding: (try? fileContents("\(directory.path)/log")) ?? [], as: UTF8.self) }

  /// Waits for `condition`. Records an issue if it doesn't hold within a minute or the agent exits.
  func wait(for condition: () -> Bool) {
    let end = BootTime.now.advanced(by: .seconds(60))
    while !condition() {
      guard BootTime.now < end, program.isRunning else {
        Issue.record("it never came to that: \(log)")
        return
      }
      poll(nil, 0, 1)
    }
  }

  /// Asks it to stop. Records an issue if that takes a minute or it exits with an error.
  func stop() {
    program.terminate()
    let end = BootTime.now.advanced(by: .seconds(60))
    while program.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    #expect(program.waitStatus == 0, "\(log)")
  }

  /// Kills it and waits until it has ended.
  func kill() { program.kill() }
}

/// A procfs whose network counters a test sets.
final class Machine: Sendable {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try directory.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    // The saved state is valid for one boot of the system.
    try directory.write("sys/kernel/random/boot_id", "c0ffee00-0000-4000-8000-000000000000\n")
  }

  var path: String { directory.path }

  /// Sets the counter. Writes in place and with a fixed width, because a new file would look like another network namespace.
  func setBytesIn(_ bytes: Int) throws {
    let digits = String(bytes)
    let number = String(repeating: "0", count: 20 - digits.utf8.count) + digits
    let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
    let text = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: \(number) 1 \(zeros)\n"
    let descriptor = unsafe open("\(path)/net/dev", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Errno.current }
    try FileDescriptor(owning: descriptor).writeAll(Array(text.utf8))
  }
}
