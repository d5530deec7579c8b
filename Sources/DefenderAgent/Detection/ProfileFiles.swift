package import Detection
import Platform
import WireFormats

/// The security profiles of several files.
package struct ProfileFiles: Sendable {
  package private(set) var profiles: [SecurityProfile] = []
  /// The warnings about values that are valid but make little sense, each with the path of the file.
  package private(set) var warnings: [String] = []

  /// The largest size of a profile's file, in bytes. A profile of 100 behaviors with 1,000 networks each has about 5 MB.
  package static let maximumSize = 8 << 20

  /// Reads and validates the files at `paths`. Throws if one is invalid or two have the same name.
  package init(at paths: [String]) throws(ProfileFileError) {
    for path in paths {
      let validation = try Self.validation(of: path)
      warnings += validation.warnings.map { "\(path): \($0)" }
      guard let profile = validation.profile else {
        throw ProfileFileError(path: path, reasons: validation.mistakes.map { "\($0)" })
      }
      try add(profile, path)
    }
  }

  /// Validates JSON text from a configuration: one profile, an array of profiles, or an array of behaviors.
  package init(parsing text: String, source: String) throws(ProfileFileError) {
    for document in Self.documents(in: text) {
      let validation = ProfileValidation(of: document, name: "configured")
      warnings += validation.warnings.map { "\(source): \($0)" }
      guard let profile = validation.profile else {
        throw ProfileFileError(path: source, reasons: validation.mistakes.map { "\($0)" })
      }
      try add(profile, source)
    }
  }

  /// Splits an array of profiles; anything else is one document.
  private static func documents(in text: String) -> [[UInt8]] {
    let bytes = Array(text.utf8)
    guard let elements = (try? JSONValue(parsing: bytes))?.array,
      elements.contains(where: { $0["behaviors"] != nil || $0["Behaviors"] != nil })
    else { return [bytes] }
    return elements.map { element in
      var document = JSONWriter()
      element.write(to: &document)
      return document.bytes
    }
  }

  private mutating func add(_ profile: SecurityProfile, _ path: String) throws(ProfileFileError) {
    if profiles.contains(where: { $0.name == profile.name }) {
      throw ProfileFileError(
        path: path,
        reasons: ["Another profile is called '\(profile.name)' too. Give each its own securityProfileName."])
    }
    profiles.append(profile)
  }

  /// Reads and validates one file.
  package static func validation(of path: String) throws(ProfileFileError) -> ProfileValidation {
    do throws(Errno) {
      let bytes = try readFile(path, limit: maximumSize, patience: .seconds(5))
      return ProfileValidation(of: bytes, name: profileName(for: path))
    } catch {
      throw ProfileFileError(path: path, reasons: ["It can't be read: \(error.ofFile)."])
    }
  }

  /// Returns the name for a profile that has none: the file's name without its extension, with invalid characters replaced.
  static func profileName(for path: String) -> String {
    let file = path.split(separator: "/").last ?? "profile"
    let stem = file.split(separator: ".").first ?? "profile"
    let letters = stem.unicodeScalars.prefix(128).map { scalar in
      SecurityProfile.isName(String(scalar)) ? Character(scalar) : "_"
    }
    return String(letters)
  }
}

/// Why a security profile can't be used.
package struct ProfileFileError: Error, Equatable, Sendable, CustomStringConvertible {
  package let path: String
  package let reasons: [String]

  /// One sentence for each mistake.
  package var lines: [String] { reasons.map { "\(path): \($0)" } }

  package var description: String { lines.joined(separator: " ") }
}
