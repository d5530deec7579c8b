import LambdaEmulator
import Synchronization

/// What an emulator reported.
final class Lines: Sendable {
  private let events = Mutex<[EmulatorEvent]>([])

  /// Runs an emulator when there is a place for it, and keeps what it reports.
  static func ofEmulator<Result: Sendable>(
    _ configuration: Emulator.Configuration, _ body: @Sendable (Emulator, Lines) async throws -> Result
  ) async throws -> Result {
    let lines = Lines()
    return try await Turnstile.processes.pass {
      try await Emulator.run(configuration, report: lines.add) { try await body($0, lines) }
    }
  }

  /// How often the function's process was started, by the REPORT lines.
  var starts: Int { platform.count { $0.contains("Init Duration:") } }

  func add(_ event: EmulatorEvent) { events.withLock { $0.append(event) } }

  var output: [String] {
    events.withLock { $0 }.compactMap { if case .output(let line) = $0 { line } else { nil } }
  }

  var platform: [String] {
    events.withLock { $0 }.compactMap { if case .platform(let line) = $0 { line } else { nil } }
  }
}
