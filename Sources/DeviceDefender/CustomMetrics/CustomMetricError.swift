/// Why a report omits a custom metric, or why it can't be configured.
package enum CustomMetricError: Error, Equatable, Sendable, CustomStringConvertible {
  case name(String)
  case notAnObject(String)
  case shape(CustomMetricName)
  case type(CustomMetricName, String)
  case value(CustomMetricName, _ expected: String, _ found: String)
  case unknown(String)
  case missingArgument(String)
  case needlessArgument(String)
  case relativePath(String)
  case twice(CustomMetricName)
  case unreadable(CustomMetricName, CollectionError)
  case noSensor(CustomMetricName)

  package var description: String {
    switch self {
    case .name(let text):
      "'\(text)' isn't a valid name of a custom metric; use 1 to 128 letters, digits, ':', '_' and '-', "
        + "not beginning with 'aws:'"
    case .notAnObject(let kind):
      "custom metrics must be an object such as {\"queue_depth\":[{\"number\":3}]}, not \(kind)"
    case .shape(let name):
      "\(name): the value must be a list of one object with one member, such as [{\"number\":3}]"
    case .type(let name, let type):
      "\(name): unknown type '\(type)'; use one of "
        + CustomMetricValue.ValueType.allCases.map(\.rawValue).joined(separator: ", ")
    case .value(let name, let expected, let found): "\(name): expected \(expected), got \(found)"
    case .unknown(let text):
      "unknown metric '\(text)'; use one of " + SystemMetric.names.joined(separator: ", ")
    case .missingArgument(let text): "'\(text):' lacks a directory; add one, as in \(text):/var"
    case .needlessArgument(let text): "'\(text)' takes no directory; remove the ':' and the text after it"
    case .relativePath(let text): "'\(text)' must be an absolute path"
    case .twice(let name): "'\(name)' occurs twice; rename one of them, as in \(name)_2=…"
    case .unreadable(let name, let error): "\(name): \(error)"
    case .noSensor(let name): "\(name): this machine has no sensor for it"
    }
  }
}
