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
      "'\(text)' can't be the name of a custom metric; allowed are 1 to 128 letters, digits, ':', '_' and '-', "
        + "and it must not begin with 'aws:'"
    case .notAnObject(let kind):
      "custom metrics should be an object such as {\"queue_depth\":[{\"number\":3}]}, not \(kind)"
    case .shape(let name):
      "\(name): the value should be a list of one object with one member, such as [{\"number\":3}]"
    case .type(let name, let type):
      "\(name): '\(type)' is no type; allowed are "
        + CustomMetricValue.ValueType.allCases.map(\.rawValue).joined(separator: ", ")
    case .value(let name, let expected, let found): "\(name): \(expected) should be here, not \(found)"
    case .unknown(let text):
      "'\(text)' is no metric; allowed are " + SystemMetric.names.joined(separator: ", ")
    case .missingArgument(let text): "'\(text)' needs a directory, as in \(text):/var"
    case .needlessArgument(let text): "'\(text)' takes nothing after a ':'"
    case .relativePath(let text): "'\(text)' should be an absolute path"
    case .twice(let name): "'\(name)' is there twice; give one of them another name, as in \(name)_2=…"
    case .unreadable(let name, let error): "\(name): \(error)"
    case .noSensor(let name): "\(name): this machine has no sensor for it"
    }
  }
}
