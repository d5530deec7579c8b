import Glibc

/// Returns the shell completions of `--event`: JSON files whose path begins with `prefix`, with an `@`.
func eventCompletions(of prefix: String) -> [String] {
  let path = prefix.hasPrefix("@") ? String(prefix.dropFirst()) : prefix
  let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  guard let directory = unsafe opendir(folder.isEmpty ? "." : folder) else { return [] }
  defer { unsafe closedir(directory) }
  var found: [String] = []
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let isFolder = unsafe entry.pointee.d_type == UInt8(DT_DIR)
    guard !name.hasPrefix("."), name.hasSuffix(".json") || isFolder else { continue }
    found.append("@\(folder)\(name)\(isFolder ? "/" : "")")
  }
  return found.sorted()
}
