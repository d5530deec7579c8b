import Platform

/// How a component identifies itself to its nucleus.
package enum ComponentIdentity: Sendable {
  /// The token that the nucleus gave the process (`SVCUID`).
  case token(String)
  /// The component's name. Nucleus lite checks it against the control group of the process that connects.
  case name(String)

  /// Returns the name of the component whose nucleus lite unit, `ggl.NAME.service`, this process belongs to; nil if it
  /// belongs to none.
  ///
  /// Reads `/proc/self/cgroup` (cgroups(7)), whose lines are hierarchy, controllers and path, separated by colons.
  package static func componentName(controlGroupFile: String) -> String? {
    // If the file doesn't exist, there are no control groups, and so no nucleus lite.
    guard let contents = try? readFile(controlGroupFile, limit: 65_536) else { return nil }
    return componentName(controlGroups: String(decoding: contents, as: UTF8.self))
  }

  static func componentName(controlGroups text: String) -> String? {
    for line in text.split(separator: "\n") {
      guard let path = line.split(separator: ":", maxSplits: 2).last else { continue }
      for unit in path.split(separator: "/") where unit.hasPrefix("ggl.") && unit.hasSuffix(".service") {
        let name = unit.dropFirst("ggl.".count).dropLast(".service".count)
        if !name.isEmpty { return String(name) }
      }
    }
    return nil
  }
}
