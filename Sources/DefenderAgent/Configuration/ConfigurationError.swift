/// All mistakes in the environment together, so that an operator can correct them in one go.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package struct Mistake: Equatable, Sendable {
    package let variable: String
    /// The rest of a sentence that begins with the variable: its value, what is wrong, and what is allowed.
    package let problem: Problem

    package init(variable: String, problem: Problem) {
      self.variable = variable
      self.problem = problem
    }
  }

  package let mistakes: [Mistake]

  package init(mistakes: [Mistake]) {
    self.mistakes = mistakes
  }

  /// Creates an error with a single mistake.
  init(of variable: Variable, _ problem: Problem) {
    mistakes = [Mistake(variable: variable.rawValue, problem: problem)]
  }

  package var description: String {
    mistakes.map { "\($0.variable) \($0.problem)" }.joined(separator: "; ")
  }
}

extension ConfigurationError {
  /// A text that knows which of its words are variables, so that a command line can add its options to them.
  package struct Problem: Equatable, Sendable, CustomStringConvertible, ExpressibleByStringInterpolation {
    fileprivate enum Part: Equatable, Sendable {
      case text(String)
      case variable(String)
    }

    /// Collects the parts of a literal such as `"isn't set, but \(Variable.region) is"`.
    package struct StringInterpolation: StringInterpolationProtocol {
      fileprivate var parts: [Part] = []

      package init(literalCapacity: Int, interpolationCount: Int) {}

      package mutating func appendLiteral(_ literal: String) { parts.append(.text(literal)) }

      package mutating func appendInterpolation(_ value: some Any) { parts.append(.text("\(value)")) }

      package mutating func appendInterpolation(_ variable: Variable) {
        parts.append(.variable(variable.rawValue))
      }
    }

    private let parts: [Part]

    package init(stringLiteral text: String) { parts = [.text(text)] }

    package init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }

    private init(parts: [Part]) { self.parts = parts }

    package static func + (left: Problem, right: Problem) -> Problem {
      Problem(parts: left.parts + right.parts)
    }

    package var description: String { description { $0 } }

    package var isEmpty: Bool { description.isEmpty }

    /// Returns the text with each variable replaced by what `name` returns for it.
    package func description(naming name: (String) -> String) -> String {
      parts.map { part in
        switch part {
        case .text(let text): text
        case .variable(let variable): name(variable)
        }
      }.joined()
    }
  }
}
