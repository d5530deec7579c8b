import DefenderAgent

extension ConfigurationError {
  /// Returns the mistakes as sentences in which `options` replaces the variables' names, because users of the command line
  /// may not know the variables.
  func sentences(namingOptions options: [String: String]) -> [String] {
    func name(_ variable: String) -> String { options[variable] ?? variable }
    return mistakes.map { "\(name($0.variable)) \($0.problem.description(naming: name))" }
  }
}
