import Glibc
import Platform
import TestSupport
import Testing

@Suite struct `An output file` {
  private struct NotReplaced: Error {}

  /// Opens an output file. `#require` can't return one, because it is noncopyable.
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

  @Test func `replaces the old file atomically, and keeps its permissions`() throws {
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
    // A reader that has the existing file open still reads that file.
    var former: [UInt8] = []
    #expect(try reader.read(into: &former, limit: 100) == 6)
    #expect(try names(in: directory) == ["report"])
  }

  @Test func `leaves only the old file if writing fails`() throws {
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

  @Test func `follows links of the same user to any target`() throws {
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

  @Test func `rejects a link of another user anywhere in the path`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("folder/target", "former")
    for (link, text) in [("link", "folder/target"), ("outer", "folder"), ("own", "link")] {
      let path = "\(directory.path)/\(link)"
      try #require(unsafe symlink(text, path) == 0)
      // Links of root count as the system's, so they need another owner.
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

  @Test func `rejects a link of another user behind a link of the same user`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("folder/sub/target", "former")
    for (link, text) in [("foreign", "folder"), ("own", "foreign/sub")] {
      try #require(unsafe symlink(text, "\(directory.path)/\(link)") == 0)
    }
    let foreign = "\(directory.path)/foreign"
    let owner: uid_t = geteuid() == 0 ? 65_534 : geteuid()
    try #require(unsafe lchown(foreign, owner, getegid()) == 0)
    // Without privileges all links belong to this user. For user 54321, the first link is then already another user's.
    let link = geteuid() == 0 ? foreign : "\(directory.path)/own"
    for path in ["own/target", "own/new"] {
      #expect(throws: OutputFileError.foreignLink(link, owner: owner)) {
        if try OutputFile.open("\(directory.path)/\(path)", as: 54_321) != nil { Issue.record("opened") }
      }
    }
  }

  /// As root, the existing file belongs to another user. Without privileges the test can't create such a file, so it
  /// belongs to this user.
  @Test(arguments: [
    (0o640, 0o640), (0o600, 0o600), (0o666, 0o644), (0o777, 0o644), (0o6755, 0o644), (0o466, 0o444),
  ])
  func `keeps owner and group, and lets nobody else write to another user's file`(mode: UInt32, kept: UInt32)
    throws
  {
    let directory = try TemporaryDirectory()
    let path = try directory.write("report", "former")
    let isRoot = geteuid() == 0
    if isRoot { try #require(unsafe chown(path, 65_534, 65_533) == 0) }
    try #require(unsafe chmod(path, mode | 0o200) == 0)
    var former = stat()
    try #require(unsafe stat(path, &former) == 0)
    var file = try opened(path)
    try file.append(Array("new".utf8))
    try file.publish()
    var status = stat()
    try #require(unsafe stat(path, &status) == 0)
    #expect(try text(path) == "new")
    #expect(status.st_ino != former.st_ino)
    #expect((status.st_uid, status.st_gid) == (former.st_uid, former.st_gid))
    #expect(status.st_mode & 0o7777 == (isRoot ? kept | 0o200 : (mode | 0o200) & 0o777))
  }

  @Test func `removes files of killed processes, but not of running ones`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("report", "former")
    let others = [".report.new", ".report.xyz.new", ".other.12.new", "report.12.new", ".report.12.new.old"]
    for name in others + [".report.12.new", ".report.89abcdef01234567.new"] { try directory.write(name, "") }
    var running = try opened(path)
    try running.append(Array("running".utf8))
    var last = try opened(path)
    try last.append(Array("last".utf8))
    #expect(try names(in: directory).count == others.count + 3)
    try last.publish()
    try running.publish()
    #expect(try text(path) == "running")
    #expect(try Set(names(in: directory)) == Set(others + ["report"]))
  }

  @Test func `doesn't replace pipes, devices, open files or directories`() throws {
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
