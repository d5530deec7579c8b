/// A mistake in JSON that a function received, with its place and what is allowed.
///
/// It never contains values, which are the caller's data and must not end up in a log.
public struct EventError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The place of the mistake, such as `Records[0].body`; empty for the JSON text as a whole.
  public let path: String
  /// The mistake and what is allowed, such as `is missing, but must be a string`.
  public let problem: String

  /// Creates an error. `problem` completes a sentence whose subject is the value at `path`.
  public init(path: String, problem: String) {
    self.path = path
    self.problem = problem
  }

  /// Creates the error of a text that isn't JSON.
  init(malformedAt offset: Int, _ reason: String) {
    self.init(path: "", problem: "isn't JSON: \(reason) at byte \(offset)")
  }

  /// The place and the mistake, such as `'Records[0].body' is null, but must be a string`, without a full stop.
  public var description: String { path.isEmpty ? "it \(problem)" : "'\(path)' \(problem)" }
}

extension EventError {
  /// The mistake that `json` must be something else, such as `a string`.
  public init(_ json: JSON, mustBe allowed: String) {
    self.init(path: json.path, problem: "is \(json.kind), but must be \(allowed)")
  }
}
