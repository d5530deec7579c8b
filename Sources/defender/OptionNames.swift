import DefenderAgent

extension ConfigurationError {
  /// Returns the mistakes as sentences, with the option next to each variable that has one, because users of
  /// the command line may not know the variables.
  func sentences(namingOptions options: [String: String]) -> [String] {
    func name(_ variable: String) -> String { options[variable].map { "\($0) (or \(variable))" } ?? variable }
    return mistakes.map { "\(name($0.variable)) \($0.problem.description(naming: name))" }
  }
}
