/// All mistakes in the environment together, so that an operator can correct them in one go.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package struct Mistake: Equatable, Sendable {
    package let variable: String
    /// The rest of a sentence that begins with the variable: its value, what is wrong, and what is allowed.
    package let problem: String

    package init(variable: String, problem: String) {
      self.variable = variable
      self.problem = problem
    }
  }

  package let mistakes: [Mistake]

  package init(mistakes: [Mistake]) {
    self.mistakes = mistakes
  }

  /// Creates an error with a single mistake.
  init(of variable: Variable, _ problem: String) {
    mistakes = [Mistake(variable: variable.rawValue, problem: problem)]
  }

  package var description: String {
    mistakes.map { "\($0.variable) \($0.problem)" }.joined(separator: "; ")
  }
}
