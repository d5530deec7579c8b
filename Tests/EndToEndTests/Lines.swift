import LambdaEmulator
import Synchronization

/// The events that an emulator reported.
final class Lines: Sendable {
  private let events = Mutex<[EmulatorEvent]>([])

  /// Runs an emulator as soon as the turnstile allows it, and collects its events.
  static func ofEmulator<Result: Sendable>(
    _ configuration: Emulator.Configuration, _ body: @Sendable (Emulator, Lines) async throws -> Result
  ) async throws -> Result {
    let lines = Lines()
    return try await Turnstile.processes.pass {
      try await Emulator.run(configuration, report: lines.add) { try await body($0, lines) }
    }
  }

  /// The number of times that the function's process was started, according to the REPORT lines.
  var starts: Int { platform.count { $0.contains("Init Duration:") } }

  func add(_ event: EmulatorEvent) { events.withLock { $0.append(event) } }

  var output: [String] {
    events.withLock { $0 }.compactMap { if case .output(let line) = $0 { line } else { nil } }
  }

  var platform: [String] {
    events.withLock { $0 }.compactMap { if case .platform(let line) = $0 { line } else { nil } }
  }
}
