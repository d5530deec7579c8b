package import DeviceDefender

/// A topic in which `{thing}` stands for the thing's name and `{format}` for `json` or `cbor`.
package struct TopicTemplate: Equatable, Sendable {
  private enum Part: Equatable, Sendable {
    case text(String)
    case thing
    case format
  }

  private let parts: [Part]

  /// `$aws/things/{thing}/defender/metrics/{format}`, the reserved topic of Device Defender.
  ///
  /// Source: "Sending metrics from devices", AWS IoT Device Defender developer guide.
  package static let deviceDefender = TopicTemplate(parts: [
    .text("$aws/things/"), .thing, .text("/defender/metrics/"), .format,
  ])

  /// Parses a template; nil if its braces enclose anything else or don't match.
  package init?(_ template: String) {
    var parts: [Part] = []
    var rest = template[...]
    while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
      guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else { return nil }
      if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
      switch rest[rest.index(after: open)..<close] {
      case "thing": parts.append(.thing)
      case "format": parts.append(.format)
      default: return nil
      }
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    self.init(parts: parts)
  }

  private init(parts: [Part]) {
    self.parts = parts
  }

  package var namesThing: Bool { parts.contains(.thing) }
  package var namesFormat: Bool { parts.contains(.format) }

  /// Returns the topic for reports in `format` about `thing`.
  package func topic(thing: String, format: ReportFormat) throws(TopicError) -> Topic {
    var topic = ""
    for part in parts {
      switch part {
      case .text(let text): topic += text
      case .thing: topic += thing
      case .format: topic += format.rawValue
      }
    }
    return try Topic(validating: topic)
  }
}
