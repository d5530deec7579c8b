import Glibc
package import Platform
package import WireFormats

/// Returns the path of a file or directory below `Tests/Fixtures`.
package func fixturePath(_ path: String) -> String {
  let tests = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
  return "/\(tests)/Fixtures/\(path)"
}

/// Returns the contents of a file below `Tests/Fixtures`.
package func fixture(_ path: String) throws(Errno) -> [UInt8] {
  try readFile(fixturePath(path), limit: 64 << 20)
}

/// Returns the values in a file below `Tests/Fixtures` with one JSON value per line.
package func fixtureLines(_ path: String) throws -> [JSONValue] {
  let contents = try fixture(path)
  return try contents.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
}

/// Returns the contents of a file that a test has created.
package func fileContents(_ path: String) throws(Errno) -> [UInt8] { try readFile(path, limit: 64 << 20) }

/// Returns the contents of the files in a directory below `Tests/Fixtures`.
package func fixtureFiles(_ folder: String) throws(Errno) -> [[UInt8]] {
  var files: [[UInt8]] = []
  for name in try fixtureNames(folder) { files.append(try fixture("\(folder)/\(name)")) }
  return files
}

/// Returns the sorted file names in a directory below `Tests/Fixtures`.
package func fixtureNames(_ folder: String) throws(Errno) -> [String] {
  guard let directory = unsafe opendir(fixturePath(folder)) else { throw Errno.current }
  defer { unsafe closedir(directory) }
  var names: [String] = []
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if !name.hasPrefix(".") { names.append(name) }
  }
  return names.sorted()
}
