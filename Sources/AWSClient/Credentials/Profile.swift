import WireFormats

/// The settings of one profile in the shared files; keys are in lower case.
package typealias Profile = [String: String]

/// Why a shared file can't be parsed.
package struct ProfileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of the file, such as `the config file`.
  package let file: String
  package let line: Int
  package let reason: String

  package var description: String { "\(file), line \(line): \(reason)" }
}

/// The merged profiles of the shared `config` and `credentials` files.
///
/// "Shared config and credentials files", AWS SDKs and Tools Reference Guide. A property in the credentials file
/// overrides the same property in the config file.
package struct ProfileSet: Equatable, Sendable {
  package private(set) var profiles: [String: Profile] = [:]

  /// Parses the two files. Pass an empty text for a file that doesn't exist.
  package init(config: String, credentials: String) throws(ProfileError) {
    let sections = try sections(of: config, .config) + sections(of: credentials, .credentials)
    for section in sections where section.spelling == .proper {
      profiles[section.name, default: [:]].merge(section.properties) { $1 }
    }
    var others: [String: Profile] = [:]
    for section in sections where section.spelling == .doubtful {
      others[section.name, default: [:]].merge(section.properties) { $1 }
    }
    // A section that not every SDK reads must not change a profile that has credentials. Nor may it be ignored if only
    // it has credentials: requests would be signed with another identity.
    for (name, other) in others {
      let profile = profiles[name]
      guard profile == nil || profile?.credentialKey == nil && other.credentialKey != nil else { continue }
      profiles[name] = other.merging(profile ?? [:]) { $1 }
    }
  }
}

extension Profile {
  /// The first key from which an AWS SDK would get credentials; nil if there is none.
  ///
  /// This program needn't support it: a profile with such a key is configured, and if it yields no credentials, no
  /// other source may stand in for it.
  var credentialKey: String? {
    keys.filter { credentialKeys.contains($0) || $0.hasPrefix("sso_") || $0.hasPrefix("login_") }.min()
  }
}

private let credentialKeys: Set<String> = [
  "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token",
  "credential_process",
  "credential_source", "role_arn", "source_profile", "web_identity_token_file",
]

/// The two kinds of shared file. They spell the names of profiles differently.
private enum SharedFile: String {
  case config = "the config file"
  case credentials = "the credentials file"
}

/// A profile as written in one file.
private struct Section {
  let name: String
  var spelling: Spelling
  var properties: Profile

  enum Spelling {
    case proper
    /// With blanks around the name, which every SDK except botocore ignores; or `[default]` beside `[profile default]`,
    /// of which every SDK except botocore reads only the latter.
    case doubtful
  }
}

extension Section {
  /// Creates a section from the text between the brackets; nil if it names no profile, such as `[sso-session x]`.
  init?(title: String, _ file: SharedFile, properties: Profile) {
    let trimmed = trimmingWhitespace(title)
    let isPrefixed = file == .config && title.hasPrefix("profile") && trimmed == trimmingBlanks(title)
    spelling = trimmed == title || isPrefixed ? .proper : .doubtful
    self.properties = properties
    if file == .credentials || trimmed == "default" {
      guard !trimmed.isEmpty else { return nil }
      name = trimmed
    } else {
      // botocore checks only the prefix: `[profiles x]` is the profile x, too.
      guard trimmed.hasPrefix("profile"), let words = shellWords(trimmed), words.count == 2 else {
        return nil
      }
      name = words[1]
    }
  }
}

/// Splits `text` into words like a POSIX shell, and like Python's `shlex.split`, with which botocore reads names. Nil
/// if a quote isn't closed.
///
/// `aws configure` quotes a name that has blanks: `[profile 'my dev']`.
private func shellWords(_ text: String) -> [String]? {
  var words: [String] = []
  var word: String?
  var scalars = text.unicodeScalars[...]
  while let scalar = scalars.popFirst() {
    switch scalar {
    case " ", "\t", "\r", "\n":
      if let word { words.append(word) }
      word = nil
    case "'":
      guard let end = scalars.firstIndex(of: "'") else { return nil }
      word = (word ?? "") + String(scalars[..<end])
      scalars = scalars[end...].dropFirst()
    case "\"":
      guard let quoted = popQuoted(&scalars) else { return nil }
      word = (word ?? "") + quoted
    case "\\":
      guard let escaped = scalars.popFirst() else { return nil }
      word = (word ?? "") + String(escaped)
    default: word = (word ?? "") + String(scalar)
    }
  }
  if let word { words.append(word) }
  return words
}

/// Removes and returns the rest of a double-quoted text; a backslash escapes only a quote or another backslash.
private func popQuoted(_ scalars: inout Substring.UnicodeScalarView) -> String? {
  var text = ""
  while let scalar = scalars.popFirst() {
    if scalar == "\"" { return text }
    if scalar == "\\", let next = scalars.first, next == "\"" || next == "\\" {
      scalars.removeFirst()
      text += String(next)
    } else {
      text += String(scalar)
    }
  }
  return nil
}

/// Returns the profiles of a shared file in their order.
///
/// Properties and comments are parsed as botocore's `configparser` parses them, so that no SDK finds credentials that
/// this program overlooks. As in botocore, the properties of `[DEFAULT]`, in capitals, apply to every section that
/// doesn't override them.
private func sections(of text: String, _ file: SharedFile) throws(ProfileError) -> [Section] {
  var sections: [(title: String, properties: [Property])] = []
  var number = 0
  for line in text.split(omittingEmptySubsequences: false, whereSeparator: isLineEnd) {
    number += 1
    func error(_ reason: String) -> ProfileError {
      ProfileError(file: file.rawValue, line: number, reason: reason)
    }
    let trimmed = trimmingWhitespace(line)
    // A comment may be indented. It neither continues nor ends a property.
    guard let first = line.first, let start = trimmed.unicodeScalars.first, start != "#", start != ";" else {
      continue
    }
    let property = sections.last?.properties.indices.last
    // An indented line after a property continues the property, even if it begins with a bracket.
    if trimmed.hasPrefix("["), first == "[" || property == nil {
      sections.append((try title(of: trimmed, error), []))
      continue
    }
    guard let last = sections.indices.last else {
      throw error("this line must follow a section header such as [default]")
    }
    if isBlank(first) {
      guard let property else { throw error("this indented line must follow a property") }
      // After an empty value, the line must be a nested property.
      if sections[last].properties[property].value.isEmpty { _ = try Property(trimmed[...], number, error) }
      sections[last].properties[property].value += "\n" + trimmed
      continue
    }
    sections[last].properties.append(try Property(withoutComment(line), number, error))
  }
  var profiles: [(String, Profile)] = []
  // A section that isn't a profile may contain anything.
  for (title, properties) in sections
  where title == "DEFAULT" || Section(title: title, file, properties: [:]) != nil {
    profiles.append((title, try profile(of: properties, file)))
  }
  let inherited = profiles.filter { $0.0 == "DEFAULT" }.reduce(into: Profile()) { $0.merge($1.1) { $1 } }
  let hasPrefixedDefault = profiles.contains { title, _ in
    guard title != "default", let section = Section(title: title, file, properties: [:]) else { return false }
    return section.name == "default" && section.spelling == .proper
  }
  return profiles.compactMap { title, properties in
    var section = Section(title: title, file, properties: inherited.merging(properties) { $1 })
    if title == "default" && hasPrefixedDefault { section?.spelling = .doubtful }
    return section
  }
}

/// Returns the text between the brackets of `line`, which must begin with a bracket.
///
/// A comment may follow. Otherwise, like botocore, this ignores what follows the last bracket.
private func title(of line: String, _ error: (String) -> ProfileError) throws(ProfileError) -> String {
  var end: String.Index?
  for index in line.indices where line[index] == "]" {
    end = index
    let next = line[line.index(after: index)...].first { !isBlank($0) }
    if next == nil || next == "#" || next == ";" { break }
  }
  guard let end else { throw error("a profile definition must end with ']'") }
  let title = String(line[..<end].dropFirst())
  guard !title.isEmpty else { throw error("a profile definition must have a name between its brackets") }
  return title
}

/// Returns `properties` by name, in lower case; of several with the same name, the last one counts.
private func profile(of properties: [Property], _ file: SharedFile) throws(ProfileError) -> Profile {
  // A malformed name may be a misspelled credential. If it were ignored, requests could be signed as somebody else.
  if let line = properties.first(where: { !isIdentifier($0.key) })?.line {
    throw ProfileError(
      file: file.rawValue, line: line,
      reason:
        "a property's name must consist of letters, digits and _-/.%@+. Correct the name, or remove the line")
  }
  return Profile(properties.map { ($0.key.lowercased(), $0.value) }) { $1 }
}

/// A property of a shared file, `key = value` or `key: value`.
private struct Property {
  let key: String
  var value: String
  let line: Int

  init(_ text: Substring, _ line: Int, _ error: (String) -> ProfileError) throws(ProfileError) {
    let parts = text.unicodeScalars.split(
      maxSplits: 1, omittingEmptySubsequences: false, whereSeparator: { $0 == "=" || $0 == ":" })
    guard parts.count == 2 else {
      throw error("a property must have a '=' or ':' between its name and value")
    }
    key = trimmingWhitespace(Substring(parts[0]))
    guard !key.isEmpty else { throw error("a property must have a name before its '=' or ':'") }
    value = trimmingWhitespace(Substring(parts[1]))
    self.line = line
  }
}

/// Returns `line` up to a `#` or `;` that follows a blank.
private func withoutComment(_ line: Substring) -> Substring {
  var previousIsBlank = false
  for index in line.indices {
    let character = line[index]
    if character == "#" || character == ";", previousIsBlank { return line[..<index] }
    previousIsBlank = isBlank(character)
  }
  return line
}

private func isBlank(_ character: Character) -> Bool {
  character.unicodeScalars.first.map(isWhitespace) ?? false
}

/// Returns whether Python strips `scalar`: `str.isspace` includes four control characters that aren't Unicode white
/// space.
private func isWhitespace(_ scalar: Unicode.Scalar) -> Bool {
  scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
}

/// Returns `text` without surrounding white space of any script, such as a no-break space from a web page.
private func trimmingWhitespace(_ text: some StringProtocol) -> String {
  let scalars = Array(text.unicodeScalars)
  guard let first = scalars.firstIndex(where: { !isWhitespace($0) }),
    let last = scalars.lastIndex(where: { !isWhitespace($0) })
  else { return "" }
  return String(String.UnicodeScalarView(scalars[first...last]))
}

/// Returns whether `character` ends a line in the text files of any system.
private func isLineEnd(_ character: Character) -> Bool {
  character == "\n" || character == "\r\n" || character == "\r"
}

private func isIdentifier(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "_-/.%@+".utf8.contains($0) }
}
