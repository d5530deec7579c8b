import ArgumentParser
import Detection
import Glibc
import Platform

/// A file of recorded reports, or standard input.
struct ReportFile: ~Copyable {
  enum Step {
    case report(Observation)
    /// Reading more input may take long.
    case pause
    case end
  }

  private static let chunkSize = 256 << 10

  private let path: String
  private let input: FileDescriptor
  private var stream: ReportStream
  private var chunk: [UInt8] = []
  /// Whether the input has no byte.
  private var isEmpty = true
  private var hasReport = false
  /// Whether the last step was a pause.
  private var hasPaused = false

  /// Opens a file; `-` is standard input.
  init(_ path: String, _ table: MetricTable, thing: String?) throws(Errno) {
    self.path = path
    input = path == "-" ? FileDescriptor(owning: STDIN_FILENO) : try FileDescriptor(reading: path)
    stream = ReportStream(table, thing: thing)
  }

  /// Returns the next report. Reports that can't be read are skipped and counted. An input without any report counts as one that
  /// can't be read, unless it is empty or an empty array.
  mutating func next(_ skipped: inout SkippedReports) throws(Errno) -> Step {
    while true {
      switch stream.next() {
      case .observation(let observation):
        hasReport = true
        return .report(observation)
      case .rejected(let message): skipped.note(message, path)
      case .failed(let message):
        skipped.hasFailed = true
        skipped.note(message, path)
      case .end:
        if !isEmpty, !hasReport, !stream.hasEmptyArray { skipped.noteNoReport(path) }
        return .end
      case .needsInput:
        hasPaused.toggle()
        if hasPaused { return .pause }
        chunk.removeAll(keepingCapacity: true)
        if try input.read(into: &chunk, limit: Self.chunkSize) == 0 {
          stream.finish()
        } else {
          isEmpty = false
          stream.append(chunk)
        }
      }
    }
  }
}

/// Counts the reports that can't be read, and prints why.
struct SkippedReports {
  /// The number of skipped reports whose reason is printed; further ones are only counted.
  private static let maximumMessages = 10

  private let console: Console
  private(set) var count = 0
  /// The printed reasons.
  private(set) var reasons: [String] = []
  /// Whether an input couldn't be read completely.
  fileprivate(set) var hasFailed = false

  init(_ console: Console) { self.console = console }

  mutating func note(_ message: String, _ path: String) {
    count += 1
    guard count <= Self.maximumMessages else { return }
    print("\(path): \(message)")
  }

  mutating func noteUnreadable(_ path: String, _ error: Errno) {
    hasFailed = true
    print("'\(path)' can't be read: \(error).")
  }

  fileprivate mutating func noteNoReport(_ path: String) {
    hasFailed = true
    let name = path == "-" ? "Standard input" : "'\(path)'"
    print("\(name) has no report that can be read. Use the reports that 'defender collect' prints.")
  }

  private mutating func print(_ reason: String) {
    reasons.append(reason)
    console.error("defender: \(escapingControlCharacters(reason))")
  }

  /// Prints the number of skipped reports, and of those that were ignored as duplicates or came late.
  func printCounts(ignored: Int, late: Int = 0) {
    if count > 0 { console.error("defender: Reports skipped: \(count), for the reasons above.") }
    if ignored > 0 {
      console.error(
        "defender: Reports ignored: \(ignored). Their report_id isn't greater than that of an earlier report of the same thing."
      )
    }
    if late > 0 {
      console.error(
        "defender: Late reports: \(late). Their windows were over, so statistical thresholds ignored them. Sort the reports of "
          + "all things by time.")
    }
  }
}

/// Passes the reports of a file, or of standard input if `path` is `-`, to `use`.
func readReports(
  of path: String, _ table: MetricTable, thing: String?, _ skipped: inout SkippedReports,
  _ use: (Observation) -> Void
) {
  do throws(Errno) {
    var file = try ReportFile(path, table, thing: thing)
    while true {
      switch try file.next(&skipped) {
      case .report(let observation): use(observation)
      case .pause: break
      case .end: return
      }
    }
  } catch {
    skipped.noteUnreadable(path, error)
  }
}

/// Returns the files to read: standard input if none is named, unless it is a terminal.
func inputs(of reports: [String]) throws -> [String] {
  if reports.isEmpty, isatty(STDIN_FILENO) == 1 {
    throw ValidationError("No reports were given. Name files, or pipe reports to standard input.")
  }
  return reports.isEmpty ? ["-"] : reports
}

/// Checks the arguments that `detect learn`, `run` and `report` share.
func checkInput(_ reports: [String], thing: String?) throws {
  if let thing { try checkName(thing, of: "--thing") }
  if reports.count(where: { $0 == "-" }) > 1 {
    throw ValidationError("Standard input (-) can be read only once.")
  }
}

func checkName(_ name: String, of option: String) throws {
  guard !SecurityProfile.isName(name) else { return }
  throw ValidationError("\(option) is '\(name)'; expected 1 to 128 letters, digits, ':', '_' and '-'.")
}
