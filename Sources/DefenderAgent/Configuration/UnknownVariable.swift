package import Platform

/// A variable that has the prefix of the agent's own variables and that nothing reads: probably a misspelled one.
package struct UnknownVariable: Equatable, Sendable, CustomStringConvertible {
  package let name: String
  /// The known variable with the most similar name; nil if none is similar.
  package let nearest: String?

  static let prefix = "DEFENDER_"
  /// Variables of the package's tests. The programs under test inherit them.
  package static let ofTests: Set<String> = ["DEFENDER_BINARY_DIRECTORY"]

  /// Creates the unknown variable `name`; nil if the variable is known, lacks the prefix or belongs to the tests.
  init?(_ name: String) {
    // Not Variable(rawValue:), whose table of all names costs a sixth of the instructions of a cold start.
    guard name.hasPrefix(Self.prefix), !Variable.allCases.contains(where: { $0.rawValue == name }),
      !Self.ofTests.contains(name)
    else { return nil }
    self.name = name
    // Compares names without the prefix, which would make any two names similar.
    let known = Variable.allCases.map(\.rawValue).filter { $0.hasPrefix(Self.prefix) }
    let length = Self.prefix.utf8.count
    nearest = nearestName(
      to: name.dropFirst(length), among: known.map { String($0.dropFirst(length)) }
    ).map { Self.prefix + $0 }
  }

  package var description: String {
    let hint = nearest.map { "Did you mean \($0)?" } ?? "docs/configuration.md lists the known variables."
    return "Ignored the unknown variable \(escapingControlCharacters(name)). \(hint)"
  }
}

extension Environment {
  /// The variables with the agent's prefix that nothing reads, sorted by name.
  package var unknownVariables: [UnknownVariable] {
    all.keys.compactMap { UnknownVariable($0) }.sorted { $0.name < $1.name }
  }
}

/// Logs one warning for each unknown variable of `environment`.
package func warnOfUnknownVariables(in environment: Environment, log: Log) {
  for variable in environment.unknownVariables { log.warn("\(variable)") }
}
