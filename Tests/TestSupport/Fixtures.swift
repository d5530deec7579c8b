/// The path of a file or folder of `Tests/Fixtures`.
package func fixturePath(_ path: String) -> String {
  let here = #filePath
  let tests = here.split(separator: "/").dropLast(2).joined(separator: "/")
  return "/\(tests)/Fixtures/\(path)"
}
