import DefenderAgent

extension ConfigurationError {
  /// Its mistakes with the option beside each variable that an option sets: who typed one may never have seen the other.
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
