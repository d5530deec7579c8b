import ArgumentParser
import Glibc
import TestSupport
import Testing

@testable import defender

@Suite struct `The rebuild of a function` {
  @Test(
    arguments: [
      (".build/debug/hello", "swift build --product hello"),
      ("./.build/debug/hello", "swift build --product hello"),
      (".build/x86_64-unknown-linux-gnu/debug/a-b_c.d", "swift build --product a-b_c.d"),
      (".build/release/hello", "swift build -c release --product hello"),
      ("/tmp/.build/debug/hello", nil), (".build/hello", nil), (".build/other/hello", nil),
      ("build/debug/hello", nil),
      ("hello", nil), ("", nil), (".build/debug/a;b", nil), (".build/a/b/debug/hello", nil),
      (".build/debug/$(x)", nil), (".build/x86_64-swift-linux-musl/debug/hello", nil),
      (".build/../debug/hello", nil),
    ] as [(String, String?)])
  func `uses the command that builds the program of a package`(program: String, command: String?) {
    #expect(Rebuild.command(building: program) == command)
  }

  /// Returns a package, and its files.
  private func package() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    for file in [
      "Package.swift", "Sources/hello/main.swift", "Sources/data.bin", "Tests/a.swift", ".build/log", "log",
    ] {
      try directory.write(file, "1")
    }
    return directory
  }

  @Test(arguments: [
    ("Package.swift", true), ("new.swift", true), ("Package.resolved", true),
    ("Sources/hello/main.swift", true),
    ("Sources/hello/new", true), ("Sources/data.bin", true), ("Tests/a.swift", false),
    ("Tests/new.swift", false),
    (".build/log", false), ("Sources/.hidden", false), ("log", false), ("function", false),
  ])
  func `notices changes of source files only`(file: String, isSource: Bool) throws {
    let directory = try package()
    let before = SourceFiles(below: directory.path)
    #expect(SourceFiles(below: directory.path).change(since: before) == nil)
    try directory.write(file, "longer")
    let after = SourceFiles(below: directory.path)
    #expect(after.change(since: before) == (isSource ? file : nil))
    try #require(unsafe unlink("\(directory.path)/\(file)") == 0)
    #expect(SourceFiles(below: directory.path).change(since: after) == (isSource ? file : nil))
  }

  @Test func `notices a change that keeps the size, and one that replaces the file`() throws {
    let directory = try package()
    let path = "\(directory.path)/Package.swift"
    // The kernel's clock for files may not have advanced since the file was written.
    var old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    try #require(unsafe utimensat(AT_FDCWD, path, &old, 0) == 0)
    var before = SourceFiles(below: directory.path)
    try directory.write("Package.swift", "2")
    #expect(SourceFiles(below: directory.path).change(since: before) == "Package.swift")
    before = SourceFiles(below: directory.path)
    // As editors do. The new file has the old one's time.
    try directory.write("new", "2")
    var times = stat()
    try #require(unsafe lstat(path, &times) == 0)
    var both = [times.st_mtim, times.st_mtim]
    try #require(unsafe utimensat(AT_FDCWD, "\(directory.path)/new", &both, 0) == 0)
    try #require(unsafe rename("\(directory.path)/new", path) == 0)
    #expect(SourceFiles(below: directory.path).change(since: before) == "Package.swift")
  }

  @Test func `follows no links, and looks at a limited number of files`() throws {
    let directory = try package()
    try #require(unsafe symlink("..", "\(directory.path)/Sources/loop") == 0)
    let all = SourceFiles(below: directory.path)
    #expect(!all.isCut)
    #expect(SourceFiles(below: directory.path, limit: 3).isCut)
    #expect(SourceFiles(below: "/nowhere").change(since: all) != nil)
  }

  @Test(arguments: [
    (["--build", "make"], "--build needs --watch"), (["--watch", "--build", ""], "--build is empty"),
  ])
  func `rejects options that don't fit together`(options: [String], reason: String) throws {
    let error = try #require(throws: (any Error).self) {
      _ = try Defender.parseAsRoot(["emulator"] + options)
    }
    #expect(Defender.fullMessage(for: error, columns: 1_000).contains(reason))
  }
}
