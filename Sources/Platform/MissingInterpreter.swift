import Glibc

/// Returns why the interpreter in the first line of the script at `path` can't be found; nil if it can, or if the file
/// isn't a script.
///
/// In this case execve(2) fails with ENOENT, as if the script itself were missing. A script with Windows line endings
/// requests an interpreter whose name ends with a carriage return.
package func missingInterpreter(of path: String) -> String? {
  // Opening a pipe would wait for a writer.
  guard !isSpecialFile(path), let file = try? FileDescriptor(reading: path) else { return nil }
  var bytes: [UInt8] = []
  // The kernel reads 256 bytes (BINPRM_BUF_SIZE).
  guard (try? file.read(into: &bytes, limit: 256)) != nil, bytes.starts(with: "#!".utf8) else { return nil }
  let line = bytes.dropFirst(2).prefix { $0 != 0x0A }.drop { $0 == 0x20 || $0 == 0x09 }
  let name = String(decoding: line.prefix { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self)
  guard !name.isEmpty else { return "its first line '#!' names no interpreter. Add one, such as #!/bin/sh" }
  guard unsafe access(name, F_OK) != 0 else {
    return missingProgram(ofEnv: name, line.dropFirst(name.utf8.count))
  }
  let reason = "its interpreter '\(escapingControlCharacters(name))' doesn't exist"
  guard name.utf8.last == 0x0D else { return "\(reason). Install it, or correct the first line" }
  return "\(reason): the first line ends with a carriage return. Save the file with Unix line ends (LF)"
}

/// Returns why env(1), the interpreter `name`, can't find the program in `argument`; nil unless the name of that program
/// ends with a carriage return.
private func missingProgram(ofEnv name: String, _ argument: ArraySlice<UInt8>) -> String? {
  let program = argument.drop { $0 == 0x20 || $0 == 0x09 }
  guard name.hasSuffix("/env"), program.last == 0x0D, program.first != UInt8(ascii: "-") else { return nil }
  let shown = escapingControlCharacters(String(decoding: program, as: UTF8.self))
  return
    "env looks for '\(shown)': the first line ends with a carriage return. Save the file with Unix line ends (LF)"
}

/// Returns why execve(2) failed with ENOENT for the program at `path`; nil if the program itself doesn't exist.
package func reasonNotFound(_ path: String) -> String? {
  if let reason = missingInterpreter(of: path) { return reason }
  guard unsafe access(path, F_OK) == 0 else { return nil }
  return
    "the dynamic loader that it needs doesn't exist on this system. Use a build for this system, or a static one"
}
