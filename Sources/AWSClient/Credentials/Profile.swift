import WireFormats

/// Settings of one name in the shared files, keys in lower case.
package typealias Profile = [String: String]

/// Why a shared file can't be read as one.
package struct ProfileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of file it is, and where.
  package let file: String
  package let line: Int
  package let reason: String

  package var description: String { "\(file), line \(line): \(reason)" }
}

/// The profiles of the shared `config` and `credentials` files, put together.
///
/// "Shared config and credentials files", AWS SDKs and Tools Reference Guide. A property of the credentials file goes
/// before the same one of the config file.
package struct ProfileSet: Equatable, Sendable {
  package private(set) var profiles: [String: Profile] = [:]

  /// Reads the two files; an empty text for one that isn't there.
  package init(config: String, credentials: String) throws(ProfileError) {
    let inConfig = try sections(of: config, file: "the config file")
    let inCredentials = try sections(of: credentials, file: "the credentials file")
    let hasPrefixedDefault = inConfig.contains { $0.header == .profile("default", hasPrefix: true) }
    for section in inConfig {
      switch section.header {
      // `[profile default]` counts before `[default]`, and of the rest only those with the prefix are profiles.
      case .profile("default", hasPrefix: false) where !hasPrefixedDefault:
        profiles["default", default: [:]].merge(section.properties) { $1 }
      case .profile(let name, hasPrefix: true): profiles[name, default: [:]].merge(section.properties) { $1 }
      default: break
      }
    }
    for section in inCredentials {
      guard case .profile(let name, hasPrefix: false) = section.header else { continue }
      profiles[name, default: [:]].merge(section.properties) { $1 }
    }
  }
}

private struct Section {
  enum Header: Equatable {
    case profile(String, hasPrefix: Bool)
    /// Of another kind, as `[sso-session …]` is, or with a name that no section can have.
    case other
  }

  let header: Header
  var properties: [(key: String, value: String)] = []
}

extension Section {
  /// The text between the brackets.
  init(_ title: String) {
    let words = title.split(maxSplits: 1, omittingEmptySubsequences: true, whereSeparator: isBlank)
    let name = words.count > 1 ? trimmingBlanks(words[1]) : words.first.map { trimmingBlanks($0) } ?? ""
    guard isIdentifier(name) else {
      header = .other
      return
    }
    switch (words.count, words[0]) {
    case (1, _): header = .profile(name, hasPrefix: false)
    case (_, "profile"): header = .profile(name, hasPrefix: true)
    default: header = .other
    }
  }
}

/// The sections of a shared file in their order, properties that no program could ask for left out.
private func sections(
  of text: String, file: String
) throws(ProfileError) -> [(header: Section.Header, properties: Profile)] {
  var sections: [Section] = []
  var hasProperty = false
  var number = 0
  for line in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
    number += 1
    func error(_ reason: String) -> ProfileError { ProfileError(file: file, line: number, reason: reason) }
    guard let first = line.first, !line.allSatisfy(isBlank), first != "#", first != ";" else { continue }
    if first == "[" {
      let title = trimmingBlanks(withoutComment(line, needsBlank: false))
      guard title.hasSuffix("]") else { throw error("a profile definition has to end in ']'") }
      sections.append(Section(String(title.dropFirst().dropLast())))
      hasProperty = false
      continue
    }
    guard let last = sections.indices.last else {
      throw error("there has to be a profile definition before this")
    }
    if isBlank(first) {
      guard hasProperty, let property = sections[last].properties.indices.last else {
        throw error("a continuation needs a property before it")
      }
      // What continues nothing is a property of a property.
      let continuation = trimmingBlanks(line)
      if sections[last].properties[property].value.isEmpty {
        _ = try parsedProperty(continuation[...], error)
      }
      sections[last].properties[property].value += "\n" + continuation
      continue
    }
    sections[last].properties.append(try parsedProperty(withoutComment(line, needsBlank: true), error))
    hasProperty = true
  }
  return sections.map { section in
    let properties = section.properties.filter { isIdentifier($0.key) }
    return (section.header, Profile(properties.map { ($0.key.lowercased(), $0.value) }) { $1 })
  }
}

/// The key and the value of `key = value`.
private func parsedProperty(
  _ line: Substring, _ error: (String) -> ProfileError
) throws(ProfileError) -> (key: String, value: String) {
  guard let equals = line.firstIndex(of: "=") else { throw error("a property has to have an '='") }
  let key = trimmingBlanks(line[..<equals])
  guard !key.isEmpty else { throw error("a property has to have a name before its '='") }
  return (key, trimmingBlanks(line[line.index(after: equals)...]))
}

/// `line` up to a `#` or `;`, which in a property begins a comment only after a blank.
private func withoutComment(_ line: Substring, needsBlank: Bool) -> Substring {
  var previousIsBlank = false
  for index in line.indices {
    let character = line[index]
    if character == "#" || character == ";", previousIsBlank || !needsBlank { return line[..<index] }
    previousIsBlank = isBlank(character)
  }
  return line
}

private func isBlank(_ character: Character) -> Bool {
  character == " " || character == "\t" || character == "\r"
}

private func isIdentifier(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "_-/.%@:+".utf8.contains($0) }
}
