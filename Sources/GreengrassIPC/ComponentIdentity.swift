import Platform

/// What identifies a component to its nucleus.
package enum ComponentIdentity: Sendable {
  /// The token that the nucleus gave the process (`SVCUID`).
  case token(String)
  /// The component's name. Nucleus lite checks it against the control group of the process that connects.
  case name(String)

  /// Returns the name of the component whose unit of nucleus lite this process belongs to, `ggl.NAME.service`; nil if
  /// it belongs to none.
  ///
  /// Reads `/proc/self/cgroup` (cgroups(7)): lines of hierarchy, controllers and path, with colons in between.
  package static func componentName(controlGroupFile: String) -> String? {
    // No such file: no control groups, and so no nucleus lite.
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
