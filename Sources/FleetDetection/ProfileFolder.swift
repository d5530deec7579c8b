import Glibc
import Platform

/// The files of profiles in directories.
package enum ProfileFolder {
  /// The largest size of a file in bytes.
  private static let sizeLimit = 8 << 20

  /// Reads the files at `paths`, and each `*.json` file of those that are directories. Missing directories are ignored.
  package static func documents(at paths: [String]) -> [Result<ProfileDocument, ProfileSourceError>] {
    paths.flatMap { path in
      if let names = names(in: path) { return names.map { document("\(path)/\($0)") } }
      return path.hasSuffix(".json") ? [document(path)] : []
    }
  }

  private static func document(_ path: String) -> Result<ProfileDocument, ProfileSourceError> {
    do throws(Errno) {
      let text = try readFile(path, limit: sizeLimit, patience: .seconds(5))
      let file = path.split(separator: "/").last ?? "profile"
      return .success(ProfileDocument(name: String(file.dropLast(".json".utf8.count)), text: text))
    } catch {
      return .failure(ProfileSourceError(source: path, reason: "It can't be read: \(error.ofFile)."))
    }
  }

  /// Returns the names of the profiles in a directory, sorted; nil if it isn't one.
  private static func names(in path: String) -> [String]? {
    guard let directory = unsafe opendir(path) else { return nil }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(".json"), !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
