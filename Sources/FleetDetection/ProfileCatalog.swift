package import Platform

/// The profiles in use, from files and from the store. A malformed one is left out.
package final class ProfileCatalog {
  /// How long profiles are used before they are read again.
  package static let lifetime: Duration = .seconds(60)

  /// The profiles in the order of their names.
  package private(set) var profiles: [FleetProfile] = []
  /// Whether every profile was read and is valid, so that a missing one was removed.
  package private(set) var isComplete = false
  private let files: () -> [Result<ProfileDocument, ProfileSourceError>]
  private let store: (any FleetStore)?
  private let time: any TimeSource
  private let log: Log
  private var readAt: BootTime?
  private var documents: [ProfileDocument] = []

  /// Creates a catalog. `files` reads the files; `store` has more profiles. Of several with the same name, the last is used, so a
  /// stored one replaces a file.
  package init(
    files: @escaping () -> [Result<ProfileDocument, ProfileSourceError>], store: (any FleetStore)?,
    time: any TimeSource, log: Log
  ) {
    self.files = files
    self.store = store
    self.time = time
    self.log = log
  }

  /// Returns the profile with this name; nil if there is none.
  package func profile(_ name: String) -> FleetProfile? { profiles.first { $0.name == name } }

  /// Reads the profiles if the last time was a minute ago. If the store fails, the previous ones stay in use; without any,
  /// throws its error.
  package func refresh(until deadline: BootTime) throws(StoreError) {
    if let readAt, readAt.duration(to: time.bootTime) < Self.lifetime { return }
    var sources = files()
    do throws(StoreError) {
      sources += try store?.profiles(until: deadline) ?? []
    } catch {
      guard readAt != nil else { throw error }
      log.error("The stored profiles can't be read; the previous ones stay in use. \(error)")
      readAt = time.bootTime
      return
    }
    readAt = time.bootTime
    var found: [ProfileDocument] = []
    var isWhole = true
    for source in sources {
      switch source {
      case .success(let document): found.append(document)
      case .failure(let error):
        log.error("Profiles in \(error.source) are disabled: \(error.reason)")
        isWhole = false
      }
    }
    // A malformed profile is reported each minute, but a valid one isn't compiled again.
    guard found != documents || !isComplete else { return }
    documents = found
    compile(isWhole: isWhole)
  }

  private func compile(isWhole: Bool) {
    var compiled: [String: FleetProfile] = [:]
    var sources: [String: String] = [:]
    isComplete = isWhole
    for document in documents {
      do throws(FleetProfileError) {
        let profile = try FleetProfile(parsing: document.text, name: document.name)
        for warning in profile.warnings { log.warn("Profile '\(profile.name)': \(warning)") }
        if let other = sources[profile.name] {
          log.warn(
            "Two profiles have the name '\(profile.name)': \(document.source) is used, and \(other) isn't. "
              + "Remove or rename one.")
        }
        sources[profile.name] = document.source
        compiled[profile.name] = profile
      } catch {
        log.error(
          "The profile '\(document.name)' is disabled, because \(document.source) has mistakes: \(error)")
        isComplete = false
      }
    }
    profiles = compiled.values.sorted { $0.name < $1.name }
    let names = profiles.map { "'\($0.name)'" }.joined(separator: ", ")
    log.info("Evaluates the profiles \(names.isEmpty ? "(none)" : names).")
  }
}

/// A profile that couldn't be read.
package struct ProfileSourceError: Error, Equatable, Sendable {
  package let source: String
  package let reason: String

  package init(source: String, reason: String) {
    self.source = source
    self.reason = reason
  }
}
