import ArgumentParser
import Glibc
import LambdaEmulator
import Platform
import Synchronization
import WireFormats

/// `defender invoke`: one invocation, from the start of the function's process to its end.
struct InvokeCommand: BackgroundCommand {
  static let configuration = CommandConfiguration(
    commandName: "invoke",
    abstract: "Invokes the function once, in a local Lambda, and shows what it published.",
    usage: "defender invoke [<options>]",
    discussion: """
      Starts the function's program with a local Runtime API and a local AWS IoT data plane, which verifies the \
      signature of every publish with credentials generated for this run. Nothing leaves this machine.

      The published reports and the function's response go to standard output, the function's log and Lambda's \
      lines (START, END, REPORT) to standard error.

      The function inherits AWS_IOT_THING_NAME (default: `local-device`), SAMPLE_INTERVAL_SECONDS, PROCFS_PATH, \
      DEFENDER_*, AWS_REGION, AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL.

      With --detect, a second process of the program runs detect_handler, which evaluates the published reports as a \
      fleet's are evaluated in AWS. The violation events follow the response, each as one line of JSON.

      Examples:
        defender invoke
        defender invoke --event '{"reports":1,"format":"cbor"}'
        defender invoke --event @lambda/events/two-reports.json --timeout 30
        AWS_IOT_THING_NAME=pump-7 defender invoke
        defender invoke --detect docs/examples/pump-profile.json
        defender invoke --bootstrap .build/release/bootstrap

      Exit status: 0 the function succeeded; 1 it failed, timed out or crashed, or a report couldn't be evaluated; 2 it couldn't be run; 64 wrong \
      command line; 74 the output couldn't be written.
      """)

  @Option(
    help: ArgumentHelp(
      "The event, or @ and the path of a file with the event.", valueName: "json|@file"),
    completion: .custom { _, _, prefix in eventCompletions(of: prefix) })
  var event = #"{"reports":2,"interval_seconds":1}"#

  @OptionGroup var options: FunctionOptions

  @OptionGroup var detectionOptions: DetectionOptions

  func run() async throws {
    let console = Console(showsReadableLog: options.logLines.areReadable)
    try await reportingFailure(to: console) {
      let event = try eventBytes()
      let function = try options.function(in: .ofThisProcess)
      let detection = try detectionOptions.detection(beside: function, console)
      defer { detection?.remove() }
      guard try await invoke(function, detection, event, console) else {
        throw ExitCode(CommandFailure.Status.failed.rawValue)
      }
    }
  }

  /// Invokes the function; returns whether it succeeded.
  private func invoke(
    _ function: FunctionConfiguration, _ detection: LocalDetection?, _ event: [UInt8], _ console: Console
  ) async throws -> Bool {
    let signals = interruptions()
    var configuration = Emulator.Configuration(function: function)
    configuration.detection = detection?.function
    let violations = ViolationLines()
    do {
      return try await Emulator.run(configuration, report: { violations.keep($0) ? () : console.show($0) }) {
        emulator in
        let stop = Task {
          for await _ in signals { await emulator.stop() }
        }
        defer { stop.cancel() }
        let result = await emulator.invoke(InvocationRequest(event: event)).complete()
        console.output(text(of: result))
        let found = (try? JSONValue(parsing: result.body))?["violations"]?.integer(as: Int.self) ?? 0
        if let summary = summary(of: emulator.publishCounts, found) { console.output(summary) }
        guard let detection else { return result.failure == nil }
        let dropped = await emulator.waitForDetection()
        for line in violations.lines(detection) { console.output(line) }
        return result.failure == nil && dropped == 0
      }
    } catch let error as ServerError {
      throw CommandFailure("\(error)", status: .notRun)
    }
  }

  /// Returns the response, the error, or the beginning of a stream and the error that ended it, each below a title.
  private func text(of result: InvocationResult.Complete) -> String {
    guard let streamError = result.streamError else {
      let title = result.failure == nil ? "The function answered:" : "The function failed:"
      return "\(title)\n\(readable(result.body))"
    }
    return """
      The function failed after it had sent \(result.body.count) byte\(result.body.count == 1 ? "" : "s"):
      \(readable(result.body))
      The error:
      \(readable(streamError))
      """
  }

  /// Returns the number of accepted and rejected publishes as a sentence; nil if there was none.
  ///
  /// Violation events, whose number the function's response has, are publishes too.
  private func summary(of counts: (accepted: Int, refused: Int), _ violations: Int) -> String? {
    if counts == (0, 0) { return nil }
    let events = min(max(violations, 0), counts.accepted)
    let reports = counts.accepted - events
    var verified =
      reports == 1
      ? "1 report of this machine was published, and its signature verified."
      : "\(reports) reports of this machine were published, and their signatures verified."
    if events > 0 {
      verified +=
        "\n\(events) violation event\(events == 1 ? " was" : "s were") published, found by the security profile."
    }
    return counts.refused == 0 ? verified : "\(verified) \(counts.refused) rejected; the log has the reasons."
  }

  private func eventBytes() throws -> [UInt8] {
    guard event.hasPrefix("@") else { return Array(event.utf8) }
    let path = String(event.dropFirst())
    do {
      return try readFile(path, limit: 6 * 1024 * 1024)
    } catch {
      throw CommandFailure("Can't read the event file '\(path)': \(error).", status: .notRun)
    }
  }
}

/// Keeps the violation events of `detect_handler` until the function has answered.
private final class ViolationLines: Sendable {
  private let events = Mutex<[String]>([])

  /// Keeps a violation event; returns false for other events.
  func keep(_ event: EmulatorEvent) -> Bool {
    guard case .violation(let json) = event else { return false }
    events.withLock { $0.append(String(decoding: json, as: UTF8.self)) }
    return true
  }

  /// Returns a heading and the events.
  func lines(_ detection: LocalDetection) -> [String] {
    let events = events.withLock { $0 }
    let names = detection.profiles.map { "'\($0)'" }.joined(separator: ", ")
    let count =
      events.isEmpty ? "no violation" : "\(events.count) violation event\(events.count == 1 ? "" : "s")"
    return [
      "detect_handler evaluated the reports with \(names) and found \(count)\(events.isEmpty ? "." : ":")"
    ]
      + events
  }
}

/// Returns the shell completions of `--event`: JSON files whose path begins with `prefix`, with an `@`.
private func eventCompletions(of prefix: String) -> [String] {
  let path = prefix.hasPrefix("@") ? String(prefix.dropFirst()) : prefix
  let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  guard let directory = unsafe opendir(folder.isEmpty ? "." : folder) else { return [] }
  defer { unsafe closedir(directory) }
  var found: [String] = []
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let isFolder = unsafe entry.pointee.d_type == UInt8(DT_DIR)
    guard !name.hasPrefix("."), name.hasSuffix(".json") || isFolder else { continue }
    found.append("@\(folder)\(name)\(isFolder ? "/" : "")")
  }
  return found.sorted()
}
