package import Platform
package import WireFormats

/// The contents of a file below `Tests/Fixtures`.
package func fixture(_ path: String) throws(Errno) -> [UInt8] {
  let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
  return try readFile("/\(folder)/Fixtures/\(path)", limit: 64 << 20)
}

/// The values of a file of one JSON value a line below `Tests/Fixtures`.
package func fixtureLines(_ path: String) throws -> [JSONValue] {
  let contents = try fixture(path)
  return try contents.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
}
