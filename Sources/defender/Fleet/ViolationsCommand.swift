import AWSClient
import ArgumentParser
import Detection
import FleetDetection
import Glibc
import Platform
import WireFormats

/// `defender violations`: the alarms that `detect_handler` found.
struct ViolationsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "violations",
    abstract: "Lists the violations of a fleet that detect_handler evaluates.",
    usage: "defender violations [<options>]",
    discussion: """
      With --active, the alarms that are active now, of all things or of one. Otherwise the events of one thing, the oldest \
      first. Reads the table with the same credentials, region and endpoint variables as the AWS CLI (AWS_PROFILE, AWS_REGION, \
      AWS_ENDPOINT_URL_DYNAMODB). With --state, reads the file that invoke or emulator keeps with --detect-state, without AWS.

      Prints a table on a terminal. In a pipe, or with --json, prints one object, in the shape of the AWS CLI's \
      list-active-violations and list-violation-events.

      Examples:
        defender violations --table fleet --active
        defender violations --table fleet --thing pump-7 --since 24h
        defender violations --state state.json --active
        defender violations --active --json | jq '.activeViolations[].thingName'

      Exit status: 0 it listed them; 1 AWS refused, or couldn't be reached, or the file can't be used; 2 nothing was requested; \
      64 wrong command line; \
      74 the output couldn't be written.
      """)

  @OptionGroup var fleet: FleetTableOptions

  @Option(
    help: ArgumentHelp(
      "Read the local state file of --detect-state instead of a table (default: none).", valueName: "file"),
    completion: .file())
  var state: String?

  @Flag(help: "List the alarms that are active now.")
  var active = false

  @Option(help: ArgumentHelp("Only those of this thing (default: with --active, all).", valueName: "name"))
  var thing: String?

  @Option(
    help: ArgumentHelp(
      "List events from this time on: 30m, 24h or 7d ago, or 2026-11-30T08:00:00Z (default: 24h).",
      valueName: "time"))
  var since: String?

  @Option(help: ArgumentHelp("List events until this time (default: now).", valueName: "time"))
  var until: String?

  @Flag(help: "Print JSON, even on a terminal.")
  var json = false

  func validate() throws {
    if state == "" { throw ValidationError("--state is empty; name a file.") }
    if state != nil, fleet.table != nil {
      throw ValidationError("--state reads a file instead of a table; it can't be combined with --table.")
    }
    if !active, thing == nil { throw ValidationError("Use --active, or name a thing with --thing.") }
    if active, since != nil || until != nil {
      throw ValidationError("--since and --until list events; they can't be combined with --active.")
    }
    if let thing, !SecurityProfile.isName(thing) {
      throw ValidationError("--thing is '\(thing)'; expected 1 to 128 letters, digits, ':', '_' and '-'.")
    }
    for (name, value) in [("--since", since), ("--until", until)] {
      if let value, Self.time(value, now: .now) == nil {
        throw ValidationError("\(name) is '\(value)'; expected 30m, 24h, 7d, or 2026-11-30T08:00:00Z.")
      }
    }
  }

  func run() throws {
    let console = Console()
    do throws(CommandFailure) {
      let found = try list()
      if json || isatty(STDOUT_FILENO) == 0 {
        let list = JSONValue.Member(
          name: active ? "activeViolations" : "violationEvents", value: .array(found))
        console.output(JSONValue.object([list]).prettyPrinted())
      } else {
        for line in Self.table(found) { console.output(escapingControlCharacters(line)) }
      }
    } catch {
      console.error("defender: \(escapingControlCharacters("\(error)"))")
      throw ExitCode(error.status.rawValue)
    }
  }

  private func list() throws(CommandFailure) -> [JSONValue] {
    let store = if let state { try file(state) } else { try fleet.store() }
    do throws(StoreError) {
      var texts: [[UInt8]] = []
      if active {
        var found: [StateItem.Key: [[UInt8]]] = [:]
        try store.visitItemsThatNeedAttention(until: fleet.deadline) { items in
          for item in items where thing == nil || item.key.thing == thing {
            found[item.key] = item.alarms.map(\.json)
          }
        }
        let sorted = found.sorted { ($0.key.thing, $0.key.profile) < ($1.key.thing, $1.key.profile) }
        texts = sorted.flatMap(\.value)
      } else {
        let now = WallTime.now
        let from = since.flatMap { Self.time($0, now: now) } ?? now.advanced(by: .seconds(-86_400))
        let to = max(from, until.flatMap { Self.time($0, now: now) } ?? now)
        let range = UInt64(clamping: from.secondsSinceEpoch)...UInt64(clamping: to.secondsSinceEpoch)
        texts = try store.events(of: thing ?? "", range, until: fleet.deadline).map(\.json)
      }
      return texts.compactMap { try? JSONValue(parsing: $0) }
    } catch {
      throw CommandFailure("\(error)", status: .failed)
    }
  }

  /// Returns the store in a local file, which must exist.
  private func file(_ path: String) throws(CommandFailure) -> any FleetStore {
    do {
      guard unsafe access(path, F_OK) == 0 else { throw Errno.current }
      // The retention doesn't matter, because nothing is written.
      return FileStore(try absolutePath(path), retention: .zero, time: SystemWaiter(shutdown: nil))
    } catch {
      let reason = (error as? Errno).map { $0.ofFile } ?? "\(error)"
      throw CommandFailure(
        "The state in '\(path)' can't be read: \(reason). Name the file of --detect-state.", status: .failed)
    }
  }

  /// Returns the time that a text means: a duration before `now`, or a date.
  static func time(_ text: String, now: WallTime) -> WallTime? {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    if let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
      (0...100_000).contains(count)
    {
      return now.advanced(by: .seconds(-count * unit))
    }
    return WallTime(iso8601: text)
  }

  /// Returns the lines of a table of violations, with a line of headings.
  static func table(_ violations: [JSONValue]) -> [String] {
    if violations.isEmpty { return ["No violations."] }
    var rows = [["TIME", "STATE", "THING", "BEHAVIOR", "METRIC", "VALUE"]]
    for violation in violations {
      let time: Int64 = (violation["violationEventTime"] ?? violation["violationStartTime"])?.integer() ?? 0
      let value = violation["metricValue"] ?? violation["lastViolationValue"]
      rows.append([
        CivilTime(secondsSinceEpoch: time).extendedFormat,
        violation["violationEventType"]?.string ?? "in-alarm", violation["thingName"]?.string ?? "",
        "\(violation["securityProfileName"]?.string ?? "")/\(violation["behavior"]?["name"]?.string ?? "")",
        violation["behavior"]?["metric"]?.string ?? "", value.map(summary) ?? "",
      ])
    }
    let widths = (0..<6).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return trimmingBlanks(cells.joined(separator: "  "))
    }
  }

  private static func summary(_ value: JSONValue) -> String {
    switch value.members?.first?.value {
    case .array(let elements)?: elements.map(text).joined(separator: ", ")
    case let value?: text(value)
    case nil: ""
    }
  }

  private static func text(_ value: JSONValue) -> String {
    if case .number(let text) = value { return text }
    return value.string ?? value.prettyPrinted()
  }
}
