import Foundation
import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing

/// Tests of the command lines of all scripts in the project.
@Suite(.ownThreads) struct `A script` {
  private static let root = URL(filePath: fixturePath("../..")).standardizedFileURL.path

  /// The files of the project that begin with a shebang line.
  private static let scripts: [String] = ["lambda", "Tests", ".ci"].flatMap { folder in
    let paths =
      FileManager.default.enumerator(atPath: "\(root)/\(folder)")?.compactMap { $0 as? String } ?? []
    return paths.map { "\(folder)/\($0)" }.filter { path in
      let file = FileHandle(forReadingAtPath: "\(root)/\(path)")
      return (try? file?.read(upToCount: 2)) == Data("#!".utf8)
    }.sorted()
  }

  /// The scripts that pass their arguments to another program.
  private static let passingOn = ["lambda/run", "lambda/test"]

  /// The tools with which a script starts its work. They are replaced by stubs that only record the call.
  private static let tools = [
    "apt-get", "debootstrap", "docc", "dpkg-query", "make", "sudo", "swift", "swiftc", "systemd-analyze",
    "unshare", "unzip", "valgrind",
  ]

  private let stubs: TemporaryDirectory

  init() throws {
    stubs = try TemporaryDirectory()
    for tool in Self.tools {
      // The output that lambda/setup expects from swift and dpkg-query.
      let answer = tool == "swift" ? "Swift version 99.0" : "install ok installed"
      let path = try stubs.write(
        tool, "#!/bin/sh\necho \"\(tool) $*\" >> \(stubs.path)/calls\necho '\(answer)'\n")
      try #require(unsafe chmod(path, 0o700) == 0)
    }
  }

  private var calls: String {
    String(decoding: (try? fileContents("\(stubs.path)/calls")) ?? [], as: UTF8.self)
  }

  private func run(_ path: String, _ arguments: [String]) async throws -> BuiltProgram.Result {
    let own = Environment.ofThisProcess
    return try await BuiltProgram(path: path).run(
      arguments,
      environment: [
        "PATH": "\(stubs.path):\(own["PATH"] ?? "/usr/bin:/bin")", "HOME": stubs.path,
        "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8",
      ])
  }

  @Test func `every script is executable`() {
    #expect(Self.scripts.count > 25 && Self.scripts.contains("lambda/packaging/libcurl"))
    for script in Self.scripts {
      #expect(unsafe access("\(Self.root)/\(script)", X_OK) == 0, "\(script)")
    }
  }

  @Test(arguments: scripts, ["--help", "-h"])
  func `prints its help and does nothing else`(script: String, option: String) async throws {
    let result = try await run("\(Self.root)/\(script)", [option])
    #expect(result.status == .code(0) && result.errorText.isEmpty, "\(result.errorText)")
    #expect(result.output.contains(script.split(separator: "/").last ?? "") || script == ".ci/run")
    #expect(calls.isEmpty, "\(calls)")
  }

  @Test(arguments: scripts.filter { !passingOn.contains($0) })
  func `rejects an unknown option and does nothing else`(script: String) async throws {
    let result = try await run("\(Self.root)/\(script)", ["--no-such-option"])
    #expect(result.isErrorExit && result.output.isEmpty, "\(result.output)")
    #expect(!result.errors.isEmpty)
    #expect(calls.isEmpty, "\(calls)")
  }

  @Test(
    arguments: [
      ("lambda/packaging/libcurl", ["--help-me", "x86_64"]), ("lambda/packaging/libcurl", ["sparc"]),
      ("lambda/packaging/libcurl", []), ("lambda/packaging/libcurl", ["x86_64", "", "more"]),
      ("lambda/packaging/arm64-sdk", ["more"]), ("lambda/packaging/notices", []),
      ("lambda/install", ["a", "b"]), ("lambda/package", ["--arch"]),
      ("lambda/package", ["--arch", "sparc"]),
      ("lambda/package", ["more"]), ("Tests/Release/run", ["--arch", "sparc"]),
      ("Tests/Release/run", ["--programs", "/no/such"]), ("Tests/Soak/run", ["--minutes"]),
      ("Tests/Soak/run", ["--minutes", "1", "--hours", "1"]), ("Tests/Release/run", ["--programs"]),
      ("Tests/Fuzz/run", ["--seconds"]),
      ("Tests/Fuzz/run", ["no-such-target"]), ("Tests/Conformance/agent/run", ["--bootstrap"]),
      ("Tests/Conformance/collector/run", ["/bin/true"]),
      ("Tests/Conformance/detect/run", ["--search", "many"]),
      ("Tests/Conformance/greengrass/run", ["--bootstrap", "/bin/true", "--more"]),
      ("Tests/Fleet/run", ["--write", "--read"]),
    ] as [(String, [String])])
  func `exits with status 64 if the command line is wrong, and mentions --help`(
    script: String, arguments: [String]
  ) async throws {
    let result = try await run("\(Self.root)/\(script)", arguments)
    #expect(result.status == .code(64), "\(result.errorText)")
    #expect(result.errorText.contains("Try: \(Self.root)/\(script) --help"), "\(result.errorText)")
    #expect(calls.isEmpty, "\(calls)")
  }

  @Test func `lambda/run and lambda/test pass their arguments on`() async throws {
    // Use a copy of the tree, in which the started program is a stub, too.
    let copy = try TemporaryDirectory()
    for name in ["run", "test", "setup", "arguments.sh"] {
      let path = try copy.write("lambda/\(name)", try fileContents("\(Self.root)/lambda/\(name)"))
      try #require(unsafe chmod(path, 0o700) == 0)
    }
    let defender = try copy.write(".build/debug/defender", "#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    try #require(unsafe chmod(defender, 0o700) == 0)
    let arguments = ["--no-such-option", "two words", ""]
    let started = try await run("\(copy.path)/lambda/run", arguments)
    #expect(started.output.hasSuffix("<invoke><--no-such-option><two words><>"), "\(started.errorText)")
    _ = try await run("\(copy.path)/lambda/test", ["--filter", "Some Tests"])
    // In a bare chroot it calls unshare(1), which is a stub here.
    #expect(calls.contains("test --filter Some Tests\n") || calls.contains("unshare"), "\(calls)")
  }
}
