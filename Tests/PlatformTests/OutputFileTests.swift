import Glibc
import Platform
import TestSupport
import Testing

@Suite struct OutputFileTests {
  private struct NotReplaced: Error {}

  /// The file, which `#require` can't return: it isn't copied.
  private func opened(_ path: String) throws -> OutputFile {
    guard let file = try OutputFile.open(path) else { throw NotReplaced() }
    return file
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try fileContents(path), as: UTF8.self)
  }

  private func names(in directory: TemporaryDirectory) throws -> [String] {
    let program = Program("/bin/ls", outputLimit: 10_000).listing("-A", directory.path)
    let output = try program.output(until: .now.advanced(by: .seconds(60)))
    return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test func `takes the place of the former file at once, and keeps its permissions`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("report", "former")
    let reader = try FileDescriptor(reading: path)
    var file = try opened(path)
    try file.append(Array("one\n".utf8))
    #expect(try text(path) == "former")
    try file.publish()
    #expect(try text(path) == "one\n")
    try file.append(Array("two\n".utf8))
    try file.publish()
    #expect(try text(path) == "one\ntwo\n")
    var status = stat()
    #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    // Whoever has the former file open reads the former file.
    var former: [UInt8] = []
    #expect(try reader.read(into: &former, limit: 100) == 6)
    #expect(try names(in: directory) == ["report"])
  }

  @Test func `leaves the former file, and nothing else, if nothing comes of it`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("report", "former")
    do {
      var file = try opened(path)
      try file.append(Array("half".utf8))
      #expect(try names(in: directory).count == 2)
    }
    #expect(try text(path) == "former")
    #expect(try names(in: directory) == ["report"])
  }

  @Test func `follows links of its own user, whatever they lead to`() throws {
    let directory = try TemporaryDirectory()
    let target = try directory.write("folder/target", "former")
    for (link, text) in [("a", "folder/target"), ("b", "a"), ("c", "folder/new"), ("d", "folder")] {
      try #require(unsafe symlink(text, "\(directory.path)/\(link)") == 0)
    }
    for (path, result) in [
      ("b", target), ("c", "\(directory.path)/folder/new"), ("d/more", "\(directory.path)/folder/more"),
    ] {
      var file = try opened("\(directory.path)/\(path)")
      try file.append(Array(path.utf8))
      try file.publish()
      #expect(try text(result) == path)
    }
    try #require(unsafe symlink("loop", "\(directory.path)/loop") == 0)
    #expect(throws: OutputFileError.system(Errno(rawValue: ELOOP))) {
      if try OutputFile.open("\(directory.path)/loop") != nil { Issue.record("opened") }
    }
  }

  @Test func `refuses a link of another user, also on the way`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("folder/target", "former")
    for (link, text) in [("link", "folder/target"), ("outer", "folder"), ("own", "link")] {
      let path = "\(directory.path)/\(link)"
      try #require(unsafe symlink(text, path) == 0)
      // Root's own links are the system's.
      if geteuid() == 0, link != "own" { try #require(unsafe lchown(path, 65_534, 65_534) == 0) }
    }
    let owner: uid_t = geteuid() == 0 ? 65_534 : geteuid()
    for (path, link) in [
      ("link", "link"), ("outer/target", "outer"), ("outer/new", "outer"), ("own", "link"),
    ] {
      let path = "\(directory.path)/\(path)"
      let error = #expect(throws: OutputFileError.self) {
        if try OutputFile.open(path, as: 54_321) != nil { Issue.record("opened") }
      }
      guard case .foreignLink(let name, owner)? = error else {
        Issue.record("\(error as Any)")
        continue
      }
      #expect(name == "\(directory.path)/\(link)" || geteuid() != 0)
      if try OutputFile.open(path, as: owner) == nil { Issue.record("not opened") }
    }
    #expect(try text("\(directory.path)/folder/target") == "former")
  }

  @Test func `isn't for pipes, devices and open files, nor for directories`() throws {
    let directory = try TemporaryDirectory()
    let pipe = try directory.makePipe("pipe")
    let file = try directory.write("file", "")
    let descriptor = try FileDescriptor(reading: file)
    for path in [pipe, "/dev/null", "/dev/stderr", "/proc/self/fd/\(descriptor.rawValue)"] {
      if try OutputFile.open(path) != nil { Issue.record("\(path)") }
    }
    for path in [directory.path, "\(directory.path)/", "\(directory.path)/.."] {
      #expect(throws: OutputFileError.system(Errno(rawValue: EISDIR))) {
        if try OutputFile.open(path) != nil { Issue.record("\(path)") }
      }
    }
    #expect(throws: OutputFileError.system(.noSuchFile)) {
      if try OutputFile.open("\(directory.path)/none/file") != nil { Issue.record("opened") }
    }
  }
}

extension Program {
  fileprivate func listing(_ arguments: String...) -> Program {
    var program = self
    program.arguments = arguments
    return program
  }
}
