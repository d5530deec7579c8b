import DefenderAgent

extension ConfigurationError {
  /// Returns the mistakes as sentences, with the option next to each variable that has one, because users of
  /// the command line may not know the variables.
  func sentences(namingOptions options: [String: String]) -> [String] {
    mistakes.map { mistake in
      let words = "\(mistake.variable) \(mistake.problem)".split(
        separator: " ", omittingEmptySubsequences: false)
      return words.map { word in
        let variable = word.prefix { $0 == "_" || "A"..."Z" ~= $0 || "0"..."9" ~= $0 }
        guard let option = options[String(variable)],
          word.dropFirst(variable.count).allSatisfy(\.isPunctuation)
        else { return String(word) }
        return "\(option) (or \(variable))\(word.dropFirst(variable.count))"
      }.joined(separator: " ")
    }
  }
}
