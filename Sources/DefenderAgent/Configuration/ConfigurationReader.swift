import AWSClient
import DeviceDefender
import Glibc
import HTTPClient
import Platform
import WireFormats

/// Every mistake in the environment, in one error: whoever mends one should not meet the next only then.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package struct Mistake: Equatable, Sendable {
    package let variable: String
    package let problem: String

    package init(variable: String, problem: String) {
      self.variable = variable
      self.problem = problem
    }
  }

  package let mistakes: [Mistake]

  init(mistakes: [Mistake]) {
    self.mistakes = mistakes
  }

  /// One mistake.
  init(of variable: String, _ problem: String) {
    mistakes = [Mistake(variable: variable, problem: problem)]
  }

  package var description: String {
    mistakes.map { "\($0.variable) \($0.problem)" }.joined(separator: "; ")
  }
}

/// Reads variables one by one and remembers what is wrong with them.
struct ConfigurationReader {
  let environment: Environment
  private(set) var mistakes: [ConfigurationError.Mistake] = []

  init(_ environment: Environment) {
    self.environment = environment
  }

  /// The region to sign for; nil where a mistake was noted.
  mutating func region() -> String? {
    let variable = environment.value("AWS_REGION") == nil ? "AWS_DEFAULT_REGION" : "AWS_REGION"
    guard let region = environment.value(variable) else {
      note("AWS_REGION", "isn't set; set it to the region of the IoT endpoint, such as eu-central-1")
      return nil
    }
    // Upper case would do for a host name, and not for the scope of a signature.
    guard region == region.lowercased(), (try? AWSClient.Endpoint(iotDataPlaneOf: region)) != nil else {
      note(variable, "is '\(region)'; allowed are lower-case letters, digits and '-', as in eu-central-1")
      return nil
    }
    return region
  }

  /// The template, checked with the names that it will be filled with.
  mutating func topicTemplate() -> TopicTemplate {
    guard let text = environment.value("DEFENDER_TOPIC") else { return .deviceDefender }
    guard let template = TopicTemplate(text) else {
      note("DEFENDER_TOPIC", "is '\(text)'; braces may only say {thing} and {format}")
      return .deviceDefender
    }
    let thing = environment.value("DEFENDER_THING_NAME", "AWS_IOT_THING_NAME") ?? "t"
    do throws(TopicError) {
      for format in ReportFormat.allCases { _ = try template.topic(thing: thing, format: format) }
    } catch {
      note("DEFENDER_TOPIC", "is '\(text)': \(error)")
    }
    return template
  }

  mutating func thingName(isRequired: Bool) -> String? {
    let variable =
      environment.value("DEFENDER_THING_NAME") == nil ? "AWS_IOT_THING_NAME" : "DEFENDER_THING_NAME"
    guard let name = environment.value(variable) else {
      if isRequired {
        note(variable, "isn't set; set it to the name of the thing that the reports are about")
      }
      return nil
    }
    let isThingName =
      name.utf8.count <= 128 && name.utf8.allSatisfy { isLetterOrDigit($0) || ":_-".utf8.contains($0) }
    if !isThingName {
      note(variable, "is '\(name)'; allowed are 1 to 128 letters, digits, ':', '_' and '-'")
    }
    return name
  }

  mutating func seconds(_ variable: String) -> Duration? {
    guard let text = environment.value(variable) else { return nil }
    guard let seconds = Double(text), Configuration.intervalRange.contains(seconds) else {
      note(variable, "is '\(text)'; allowed is a number of seconds, from 0.001 to 604800")
      return nil
    }
    return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
  }

  mutating func limits() -> ReportLimits {
    var limits = ReportLimits()
    limits.maximumListSize = wholeNumber("DEFENDER_MAX_LIST_SIZE", 0...100_000) ?? limits.maximumListSize
    limits.maximumReportBytes =
      wholeNumber("DEFENDER_MAX_REPORT_BYTES", 512...131_072) ?? limits.maximumReportBytes
    return limits
  }

  mutating func absolutePath(_ variable: String) -> String? {
    guard let path = environment.value(variable) else { return nil }
    if !path.hasPrefix("/") { note(variable, "is '\(path)'; it has to be an absolute path") }
    return path
  }

  /// The state directory: one that exists, or that can be created in one that exists.
  ///
  /// A read-only file system isn't a mistake in the configuration: reports go on without a state there.
  mutating func stateDirectory() -> String? {
    guard let path = absolutePath("DEFENDER_STATE_DIRECTORY"), path.hasPrefix("/") else { return nil }
    if let obstacle = Self.obstacle(toStateIn: path), obstacle != .readOnlyFileSystem {
      note("DEFENDER_STATE_DIRECTORY", "is '\(path)', which can't be written to: \(obstacle)")
    }
    return path
  }

  /// Why no file can be written in a directory at `path`, or the directory can't be created; nil if nothing is in the way.
  private static func obstacle(toStateIn path: String) -> Errno? {
    var status = stat()
    if unsafe stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { return .notADirectory }
      return unsafe access(path, W_OK | X_OK) == 0 ? nil : .current
    }
    let failure = Errno.current
    guard failure == .noSuchFile else { return failure }
    let slash = UInt8(ascii: "/")
    // Before the last name, which slashes may follow.
    let name = path.utf8.lastIndex { $0 != slash } ?? path.startIndex
    let parent = path.utf8[..<name].lastIndex(of: slash).map { String(path[..<$0]) + "/" } ?? "/"
    return unsafe access(parent, W_OK | X_OK) == 0 ? nil : .current
  }

  mutating func customMetrics() -> [SystemMetric] {
    guard let text = environment.value("DEFENDER_CUSTOM_METRICS") else { return [] }
    do throws(CustomMetricError) {
      return try SystemMetric.list(parsing: text)
    } catch {
      note("DEFENDER_CUSTOM_METRICS", "is '\(text)': \(error)")
      return []
    }
  }

  mutating func metricsCommand() -> MetricsCommand? {
    guard let path = environment.value("DEFENDER_CUSTOM_METRICS_COMMAND") else { return nil }
    do throws(CustomMetricError) {
      let command = try MetricsCommand(path: path, environment: environment)
      if unsafe access(path, X_OK) != 0 {
        note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)', which can't be run: \(Errno.current)")
      } else if let reason = missingInterpreter(of: path) {
        note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)', which can't be run: \(reason)")
      }
      return command
    } catch {
      note("DEFENDER_CUSTOM_METRICS_COMMAND", "is '\(path)': \(error)")
      return nil
    }
  }

  mutating func confirmationTime() -> Duration? {
    let variable = "DEFENDER_CONFIRMATION_SECONDS"
    guard let text = environment.value(variable) else { return nil }
    guard let seconds = Double(text), (0...300).contains(seconds) else {
      note(variable, "is '\(text)'; allowed is a number of seconds from 0 to 300")
      return nil
    }
    return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
  }

  /// Notes half of a pair of keys, and certificates or a key that can't be read.
  ///
  /// Whether there are credentials at all is the credential chain's business: a role may come and go.
  mutating func checkAccess() {
    _ = lacksHalf(of: "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    _ = choice(CurlExchange.Configuration.plainHTTPVariable, [("0", false), ("1", true)])
    let files = [
      "AWS_CA_BUNDLE", "SSL_CERT_FILE", "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE",
    ]
    for variable in files {
      guard let path = environment.value(variable) else { continue }
      if unsafe access(path, R_OK) != 0 {
        note(variable, "is '\(path)', which can't be read: \(Errno.current)")
      } else if isSpecialFile(path) {
        // Nobody reads those.
        note(variable, "is '\(path)', which isn't a regular file")
      }
    }
  }

  /// Whether just one of a pair is set; notes the other one.
  private mutating func lacksHalf(of first: String, _ second: String) -> Bool {
    let isFirstSet = environment.value(first) != nil
    guard isFirstSet != (environment.value(second) != nil) else { return false }
    let (missing, other) = isFirstSet ? (second, first) : (first, second)
    note(missing, "isn't set, and \(other) is; they belong together")
    return true
  }

  /// What the variable's value stands for. The table is made only for a variable that is set: each type of table is
  /// half a percent of the start.
  mutating func choice<Value>(
    _ variable: String, _ table: @autoclosure () -> [(name: String, value: Value)]
  ) -> Value? {
    guard let text = environment.value(variable) else { return nil }
    let values = table()
    guard let choice = values.first(where: { $0.name == text }) else {
      note(variable, "is '\(text)'; allowed: \(values.map(\.name).joined(separator: ", "))")
      return nil
    }
    return choice.value
  }

  mutating func choice<Value: RawRepresentable<String> & CaseIterable>(
    _ variable: String, byRawValue type: Value.Type
  ) -> Value? {
    choice(variable, Value.allCases.map { ($0.rawValue, $0) })
  }

  /// The device's certificate and key; nil where there is none, or a mistake was noted.
  mutating func identity() -> ClientIdentity? {
    if lacksHalf(of: "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE") { return nil }
    do throws(CredentialError) {
      return try ClientIdentity(environment)
    } catch .sourceFailed(_, let reason, _) {
      note("DEFENDER_PRIVATE_KEY_FILE", "can't be used: \(reason)")
    } catch {
      note("DEFENDER_PRIVATE_KEY_FILE", "can't be used: \(error)")
    }
    return nil
  }

  mutating func wholeNumber(_ variable: String, _ range: ClosedRange<Int>) -> Int? {
    guard let text = environment.value(variable) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      note(
        variable, "is '\(text)'; allowed is a whole number from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return number
  }

  mutating func note(_ variable: String, _ problem: String) {
    mistakes.append(ConfigurationError.Mistake(variable: variable, problem: problem))
  }
}
