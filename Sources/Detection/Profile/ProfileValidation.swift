import WireFormats

/// A mistake in a security profile, or a warning about a bound that makes little sense.
package struct ProfileIssue: Error, Equatable, Sendable, CustomStringConvertible {
  package let line: Int
  /// The place in the document, such as `behaviors[0].criteria.value.ports[1]`; empty for the whole document.
  package let path: String
  package let message: String
  /// Whether the profile is valid despite the issue.
  package let isWarning: Bool

  package var description: String {
    path.isEmpty ? "line \(line): \(message)" : "line \(line): \(path): \(message)"
  }
}

/// The result of reading a security profile.
package struct ProfileValidation: Sendable {
  /// The profile; nil if there is a mistake.
  package let profile: SecurityProfile?
  package let issues: [ProfileIssue]

  package var mistakes: [ProfileIssue] { issues.filter { !$0.isWarning } }
  package var warnings: [ProfileIssue] { issues.filter(\.isWarning) }

  /// Reads a profile in the format of the API, the CLI or CloudFormation, or a bare array of behaviors.
  ///
  /// `name` is the profile's name if the document has none.
  package init(of bytes: [UInt8], name: String) {
    var reader = ProfileReader(bytes)
    let root: ProfileNode
    do throws(ScanError) {
      root = try ProfileNode(parsing: bytes)
    } catch {
      let (offset, reason) =
        switch error {
        case .truncated: (bytes.count, "it ends too early")
        case .malformed(let offset, let reason): (offset, reason)
        }
      reader.note(offset, "", "This isn't JSON: \(reason).")
      profile = nil
      issues = reader.issues
      return
    }
    let found = reader.profile(root, name: name)
    profile = reader.issues.contains { !$0.isWarning } ? nil : found
    issues = reader.issues.sorted { $0.line < $1.line }
  }
}
