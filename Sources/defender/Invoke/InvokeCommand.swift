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

      With --detect, a second process of the program runs detect_handler, which evaluates the published reports, as it \
      does for a fleet in AWS. The violation events follow the response, each as one line of JSON.

      --sample invokes the function with a sample event of an AWS service. --print prints the event instead, so that you can edit it. --handler selects one of several functions in \
      the program.

      Examples:
        defender invoke
        defender invoke --event '{"reports":1,"format":"cbor"}'
        defender invoke --event @lambda/events/two-reports.json --timeout 30
        AWS_IOT_THING_NAME=pump-7 defender invoke
        defender invoke --detect docs/examples/pump-profile.json
        defender invoke --bootstrap .build/release/bootstrap
        defender invoke --bootstrap .build/debug/worker --sample sqs
        defender invoke --sample apigw-v2 --print >event.json
        defender invoke --bootstrap images --handler resize --log-type Tail

      Exit status: 0 the function succeeded; 1 it failed, timed out or crashed, or a report couldn't be evaluated; 2 it couldn't be run; 64 wrong \
      command line; 74 the output couldn't be written.
      """)

  @Option(
    help: ArgumentHelp(
      "The event, or @ and the path of a file with the event (default: {\"reports\":2,\"interval_seconds\":1}).",
      valueName: "json|@file"),
    completion: .custom { _, _, prefix in eventCompletions(of: prefix) })
  var event: String?

  @Option(
    help: ArgumentHelp(
      "Use an event of an AWS service, such as sqs or apigw-v2; `list` prints the names (default: none).",
      valueName: "name"),
    completion: .list(SampleEvent.all.map(\.name) + ["list"]))
  var sample: String?

  @Flag(help: "Print the event instead of invoking the function.")
  var print = false

  @Option(help: ArgumentHelp("\(handlerHelp)", valueName: "name"))
  var handler: String?

  @Option(
    help: ArgumentHelp(
      "Tail shows the last 4 KB of the log after the response, as callers of Lambda's Invoke API see it.",
      valueName: "None|Tail"))
  var logType = LogType.none

  @OptionGroup var options: FunctionOptions

  @OptionGroup var detectionOptions: DetectionOptions

  func validate() throws {
    if let sample {
      guard event == nil else {
        throw ValidationError("--event and --sample are both given. Use one of them.")
      }
      let names = SampleEvent.all.map(\.name)
      guard sample == "list" || names.contains(sample) else {
        let meant = nearestName(to: sample, among: names).map { "Did you mean '\($0)'? " } ?? ""
        throw ValidationError(
          "--sample '\(sample)' doesn't exist. \(meant)The events are \(names.joined(separator: ", ")).")
      }
    }
    try options.check(handlers: handler.map { [$0] } ?? [])
  }

  func run() async throws {
    let console = Console(showsReadableLog: options.logLines.areReadable)
    try await reportingFailure(to: console) {
      if sample == "list" {
        console.output(SampleEvent.list)
        return
      }
      let event = try eventBytes()
      if print {
        console.output(String(decoding: event, as: UTF8.self).trimmingFinalLineFeeds)
        return
      }
      let function = try options.functions(handler.map { [$0] } ?? [], in: .ofThisProcess)[0]
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
        let answer = await emulator.invoke(InvocationRequest(event: event))
        let result = await answer.complete()
        console.output(text(of: result))
        if logType == .tail { await showLog(of: answer, console) }
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

  /// Shows the end of the log, decoded.
  private func showLog(of result: InvocationResult, _ console: Console) async {
    guard let log = result.log else {
      return console.error(
        "defender: --log-type Tail has no effect if the function handles several invocations at once.")
    }
    let text = String(decoding: await log.tail(), as: UTF8.self)
    console.output("The end of the log:\n\(text.trimmingFinalLineFeeds)")
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
    if let sample { return SampleEvent.all.first { $0.name == sample }?.bytes ?? [] }
    let event = event ?? #"{"reports":2,"interval_seconds":1}"#
    guard event.hasPrefix("@") else {
      let bytes = Array(event.utf8)
      try Self.check(bytes, source: "The event of --event")
      return bytes
    }
    let path = String(event.dropFirst())
    let bytes: [UInt8]
    do {
      bytes = try readFile(path, limit: 6 * 1024 * 1024)
    } catch {
      throw CommandFailure("Can't read the event file '\(path)': \(error).", status: .notRun)
    }
    try Self.check(bytes, source: "The event file '\(path)'")
    return bytes
  }
}

/// Whether the end of the log is shown, in the words of the AWS CLI.
enum LogType: String, CaseIterable, ExpressibleByArgument {
  case none = "None"
  case tail = "Tail"
}

extension String {
  /// The text without the line feeds at its end.
  fileprivate var trimmingFinalLineFeeds: String {
    String(self[..<(lastIndex { $0 != "\n" }.map(index(after:)) ?? startIndex)])
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
