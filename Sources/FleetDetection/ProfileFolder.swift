import Glibc
import Platform

/// The files of profiles in directories.
package enum ProfileFolder {
  /// The largest size of a file in bytes.
  private static let sizeLimit = 8 << 20

  /// Reads the files at `paths`, and each `*.json` file of those that are directories. Missing directories are ignored.
  package static func documents(at paths: [String]) -> [Result<ProfileDocument, ProfileSourceError>] {
    paths.flatMap { path -> [Result<ProfileDocument, ProfileSourceError>] in
      do throws(Errno) {
        return try names(in: path).map { document("\(path)/\($0)") }
      } catch {
        // A directory that exists may have profiles whose alarms must stay.
        guard error == .noSuchFile || error == .notADirectory else {
          return [
            .failure(
              ProfileSourceError(source: path, reason: "The directory can't be read: \(error.ofFile)."))
          ]
        }
        return path.hasSuffix(".json") ? [document(path)] : []
      }
    }
  }

  private static func document(_ path: String) -> Result<ProfileDocument, ProfileSourceError> {
    do throws(Errno) {
      let text = try readFile(path, limit: sizeLimit, patience: .seconds(5))
      let file = path.split(separator: "/").last ?? "profile"
      return .success(
        ProfileDocument(name: String(file.dropLast(".json".utf8.count)), text: text, source: path))
    } catch {
      return .failure(ProfileSourceError(source: path, reason: "It can't be read: \(error.ofFile)."))
    }
  }

  /// Returns the names of the profiles in a directory, sorted.
  private static func names(in path: String) throws(Errno) -> [String] {
    guard let directory = unsafe opendir(path) else { throw Errno.current }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(directory) else {
        let code = errno
        if code != 0 { throw Errno(rawValue: code) }
        return names.sorted()
      }
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(".json"), !name.hasPrefix(".") { names.append(name) }
    }
  }
}
