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
      try stubs.writeProgram(
        tool, "#!/bin/sh\necho \"\(tool) $*\" >> \(stubs.path)/calls\necho '\(answer)'\n")
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
      ("lambda/install", ["a", "b"]), ("lambda/install", ["--quiet", "a", "b"]),
      ("lambda/package", ["--arch"]),
      ("lambda/package", ["--arch", "sparc"]),
      ("lambda/package", ["more"]), ("Tests/Release/run", ["--arch", "sparc"]),
      ("Tests/Release/run", ["--programs", "/no/such"]), ("Tests/Soak/run", ["--minutes"]),
      ("Tests/Soak/run", ["--minutes", "1", "--hours", "1"]), ("Tests/Release/run", ["--programs"]),
      ("Tests/Fuzz/run", ["--seconds"]),
      ("Tests/Fuzz/run", ["no-such-target"]), ("Tests/Conformance/agent/run", ["--bootstrap"]),
      ("Tests/Conformance/collector/run", ["/bin/true"]),
      ("Tests/Conformance/detect/run", ["--search", "many"]),
      ("Tests/Conformance/greengrass/run", ["--bootstrap", "/bin/true", "--more"]),
      ("Tests/Fleet/run", ["--write", "--read"]), ("Tests/Baseline/run", ["--fast"]),
    ] as [(String, [String])])
  func `exits with status 64 if the command line is wrong, and mentions --help`(
    script: String, arguments: [String]
  ) async throws {
    let result = try await run("\(Self.root)/\(script)", arguments)
    #expect(result.status == .code(64), "\(result.errorText)")
    #expect(result.errorText.contains("Try: \(Self.root)/\(script) --help"), "\(result.errorText)")
    #expect(calls.isEmpty, "\(calls)")
  }

  /// Copies scripts of the project to a new tree, and creates stubs for others, which only print their second text.
  private func tree(of scripts: [String], stubs: [(path: String, script: String)]) throws
    -> TemporaryDirectory
  {
    let copy = try TemporaryDirectory()
    for name in scripts { try copy.write(name, try fileContents("\(Self.root)/\(name)")) }
    for (path, script) in stubs { try copy.write(path, "#!/bin/sh\n\(script)\n") }
    for path in scripts + stubs.map(\.path) {
      try #require(unsafe chmod("\(copy.path)/\(path)", 0o700) == 0)
    }
    return copy
  }

  /// A tree in which lambda/package builds a zip of stubs for a machine of the architecture that uname(1) prints.
  private func packageTree(machine: String) throws -> TemporaryDirectory {
    for (tool, script) in [
      ("uname", "echo \(machine)"), ("zip", #"for a; do case $a in *.zip) echo >"$a" ;; esac; done"#),
      ("advzip", ""),
    ] {
      try #require(unsafe chmod(try stubs.write(tool, "#!/bin/sh\n\(script)\n"), 0o700) == 0)
    }
    let copy = try tree(
      of: ["package", "packaging/zip", "arguments.sh", "phases.sh"].map { "lambda/\($0)" },
      stubs: [
        ("lambda/setup", ""), ("lambda/packaging/libcurl", "echo /nowhere"),
        ("lambda/packaging/version", "echo 1.2.3"),
        (
          "lambda/packaging/program",
          "for part in '' .notices .cdx.json .linked; do echo >\"$5/$1$part\"; done; echo \"$1 $2\" >built"
        ),
      ])
    for name in ["LICENSE", "lambda/greengrass/greengrass_defender_agent.py"] {
      try copy.write(name, "")
    }
    try copy.write("lambda/greengrass/lambda-function-component.json", "")
    return copy
  }

  /// Returns the phases in a script's standard error; nil if a line isn't a phase.
  private func phases(_ result: BuiltProgram.Result) -> [String]? {
    let texts = result.errors.map { line -> String? in
      guard line.hasPrefix("["), let end = line.firstIndex(of: "]") else { return nil }
      let time = line[..<end].dropFirst().split(separator: " ")
      return time.count == 2 && Int(time[0]) != nil && time[1] == "s"
        ? String(line[end...].dropFirst(2)) : nil
    }
    return texts.contains(nil) ? nil : texts.compactMap { $0 }
  }

  @Test(arguments: [([], true), (["--quiet"], false)])
  func `lambda/package prints each phase with the time so far, unless it must be quiet`(
    options: [String], shows: Bool
  ) async throws {
    let copy = try packageTree(machine: "x86_64")
    let result = try await run("\(copy.path)/lambda/package", options)
    #expect(result.status == .code(0), "\(result.errorText)")
    let expected = [
      "Checking the tools and libraries", "Preparing libcurl", "Building bootstrap 1.2.3 for x86_64",
      "Writing the zip", "Done",
    ]
    #expect(phases(result) == (shows ? expected : []), "\(result.errorText)")
    #expect(
      result.output.hasPrefix("\(copy.path)/.build/package/device-defender-x86_64.zip\n")
        || result.output.hasPrefix(".build/package/"))
  }

  @Test(arguments: [([], true), (["--quiet"], false)])
  func `lambda/install prints each phase with the time so far, unless it must be quiet`(
    options: [String], shows: Bool
  ) async throws {
    let copy = try tree(
      of: ["install", "arguments.sh", "phases.sh"].map { "lambda/\($0)" },
      stubs: [
        ("lambda/setup", ""),
        (
          "lambda/packaging/documents",
          """
          for file in man/man1/defender.1 man/man8/device-defender.8 bash-completion/completions/defender \
            zsh/site-functions/_defender fish/vendor_completions.d/defender.fish; do
            mkdir -p "$2/${file%/*}"; echo >"$2/$file"
          done
          """
        ),
      ])
    // `swift build --show-bin-path` prints where the programs are.
    for program in ["defender", "bootstrap"] { try copy.write("built/\(program)", "") }
    let swift = try stubs.write(
      "swift", "#!/bin/sh\necho \"swift $*\" >>\(stubs.path)/calls\necho \(copy.path)/built\n")
    try #require(unsafe chmod(swift, 0o700) == 0)
    let result = try await run("\(copy.path)/lambda/install", ["\(copy.path)/prefix"] + options)
    #expect(result.status == .code(0), "\(result.errorText)")
    let expected = [
      "Checking the tools and libraries", "Building defender", "Building bootstrap",
      "Creating the manual pages and completions", "Installing below \(copy.path)/prefix",
    ]
    #expect(phases(result) == (shows ? expected : []), "\(result.errorText)")
    #expect(
      calls.contains("swift build -c release\(shows ? "" : " --quiet") --product defender\n"), "\(calls)")
    #expect(unsafe access("\(copy.path)/prefix/bin/bootstrap", X_OK) == 0)
  }

  /// Otherwise, a function that was built and deployed with the default architectures couldn't start.
  @Test(arguments: [("x86_64", "x86_64"), ("aarch64", "arm64")])
  func
    `the template's default architecture is that of lambda/package on x86_64, and on others it prints the parameter`(
      machine: String, architecture: String
    ) async throws
  {
    let copy = try packageTree(machine: machine)
    let result = try await run("\(copy.path)/lambda/package", [])
    let built = String(decoding: try fileContents("\(copy.path)/built"), as: UTF8.self)
    #expect(built == "bootstrap \(architecture)\n")
    #expect(result.output.contains("template.yaml and Architecture=\(architecture)"), "\(result.output)")
    let template = String(
      decoding: try fileContents("\(Self.root)/lambda/aws/template.yaml"), as: UTF8.self)
    let parameter = try #require(template.components(separatedBy: "\n  Architecture:\n").last)
    let fallback = try #require(parameter.split(separator: "\n").first { $0.hasPrefix("    Default: ") })
    #expect((fallback == "    Default: \(architecture)") == (machine == "x86_64"))
  }

  @Test func `lambda/run builds the tools, which Package.swift contains only on request`() async throws {
    let copy = try tree(
      of: ["run", "arguments.sh"].map { "lambda/\($0)" },
      stubs: [("lambda/setup", ""), (".build/debug/defender", "")])
    let swift = try stubs.write(
      "swift", "#!/bin/sh\necho \"$DEVICE_DEFENDER_TOOLS swift $*\" >>\(stubs.path)/calls\n")
    try #require(unsafe chmod(swift, 0o700) == 0)
    let result = try await run("\(copy.path)/lambda/run", [])
    #expect(result.status == .code(0) && calls.hasPrefix("1 swift build "), "\(calls)\(result.errorText)")
  }

  @Test func `lambda/run and lambda/test pass their arguments on`() async throws {
    // Use a copy of the tree, in which the started program is a stub, too.
    let copy = try TemporaryDirectory()
    for name in ["run", "test", "setup", "arguments.sh"] {
      try copy.writeProgram("lambda/\(name)", try fileContents("\(Self.root)/lambda/\(name)"))
    }
    try copy.writeProgram(".build/debug/defender", "#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    let arguments = ["--no-such-option", "two words", ""]
    let started = try await run("\(copy.path)/lambda/run", arguments)
    #expect(started.output.hasSuffix("<invoke><--no-such-option><two words><>"), "\(started.errorText)")
    _ = try await run("\(copy.path)/lambda/test", ["--filter", "Some Tests"])
    // In a bare chroot it calls unshare(1), which is a stub here.
    #expect(calls.contains("test --filter Some Tests\n") || calls.contains("unshare"), "\(calls)")
  }
}
