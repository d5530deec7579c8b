import Platform

/// Reads variables and collects the mistakes in them.
///
/// Each group of variables, such as those of the schedule, has a file with an extension that reads them.
struct ConfigurationReader {
  let environment: Environment
  private(set) var mistakes: [ConfigurationError.Mistake] = []

  init(_ environment: Environment) {
    self.environment = environment
  }

  mutating func note(_ variable: Variable, _ problem: ConfigurationError.Problem) {
    note(variable.rawValue, problem)
  }

  /// Notes a mistake in a variable that a library reads.
  mutating func note(_ variable: String, _ problem: ConfigurationError.Problem) {
    mistakes.append(ConfigurationError.Mistake(variable: variable, problem: problem))
  }

  /// Returns a duration from a number of seconds, rounded up to milliseconds; nil if the variable isn't set, or if a mistake
  /// was noted.
  mutating func seconds(_ variable: Variable) -> Duration? {
    guard let text = environment.value(variable) else { return nil }
    guard let seconds = Double(text), Configuration.intervalRange.contains(seconds) else {
      note(variable, "is '\(text)'; expected a number of seconds, from 0.001 to 604800")
      return nil
    }
    return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
  }

  /// Returns a whole number; nil if the variable isn't set, or if a mistake was noted.
  mutating func wholeNumber(_ variable: Variable, _ range: ClosedRange<Int>) -> Int? {
    guard let text = environment.value(variable) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      note(
        variable, "is '\(text)'; expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return number
  }

  /// Returns a path; nil if the variable isn't set. A relative path is noted as a mistake and still returned.
  mutating func absolutePath(_ variable: Variable) -> String? {
    guard let path = environment.value(variable) else { return nil }
    if !path.hasPrefix("/") { note(variable, "is '\(path)'; it must be an absolute path") }
    return path
  }

  /// Returns the value in `table` that the variable names; nil if the variable isn't set, or if a mistake was noted.
  ///
  /// `table` is evaluated only if the variable is set: each type of table costs half a percent of the start-up time.
  mutating func choice<Value>(
    _ variable: Variable, _ table: @autoclosure () -> [(name: String, value: Value)]
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
    _ variable: Variable, byRawValue type: Value.Type
  ) -> Value? {
    choice(variable, Value.allCases.map { ($0.rawValue, $0) })
  }

  /// Returns whether only one variable of a pair is set, and notes the missing one.
  mutating func lacksHalf(of first: Variable, _ second: Variable) -> Bool {
    let isFirstSet = environment.value(first) != nil
    guard isFirstSet != (environment.value(second) != nil) else { return false }
    let (missing, other) = isFirstSet ? (second, first) : (first, second)
    note(missing, "isn't set, but \(other) is; set both or neither")
    return true
  }
}
