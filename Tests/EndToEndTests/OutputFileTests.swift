import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the output file of `defender collect --output` and `defender agent --dryrun` if it can't simply be replaced.
@Suite(.ownThreads, .timeLimit(.minutes(5))) struct `An output file of defender` {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try directory.write("folder/report", String(repeating: "former\n", count: 1_000))
  }

  /// Runs a shell script in the directory with unshare(1). `$1` is `defender`.
  private func run(_ script: String, unsharing namespaces: [String]) async throws -> BuiltProgram.Result {
    try await BuiltProgram(path: "/usr/bin/unshare").run(
      namespaces + [
        "sh", "-euc", "cd \"$2\"; \(script)", "sh", try BuiltProgram("defender").path, directory.path,
      ],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
  }

  private func report() throws -> JSONValue {
    try JSONValue(parsing: try fileContents("\(directory.path)/folder/report"))
  }

  private func names(_ folder: String) async throws -> String {
    try await BuiltProgram(path: "/bin/ls").run(["-A", "\(directory.path)/\(folder)"]).output
  }

  @Test(arguments: [
    // A mount point, such as a file from `docker run -v`, can't be replaced (rename(2), EBUSY).
    "mount --bind folder/report folder/report",
    // A writable file in a read-only directory.
    "mount --bind folder folder; mount --bind folder/report folder/report; mount -o remount,ro,bind folder",
  ])
  func `is overwritten if it can't be replaced`(mounts: String) async throws {
    let own = ["--mount"] + (geteuid() == 0 ? [] : ["--user", "--map-root-user"])
    let run = try await run(
      "\(mounts); exec \"$1\" collect --output folder/report -n 2 -s 0.01 --compact", unsharing: own)
    #expect(run.status == .code(0), "\(run.errorText)")
    let lines = String(decoding: try fileContents("\(directory.path)/folder/report"), as: UTF8.self)
    #expect(lines.split(separator: "\n").count == 2 && !lines.contains("former"))
    #expect(try await names("folder") == "report\n")
  }

  /// Uses a user namespace without privileges, even if root runs the test.
  @Test func `is overwritten if it is writable but its directory isn't`() async throws {
    let run = try await run(
      "chmod 555 folder; \"$1\" collect --output folder/report; chmod 755 folder", unsharing: ["--user"])
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(try report()["metrics"] != nil)
    #expect(try await names("folder") == "report\n")
  }

  @Test func `isn't replaced if it isn't writable`() async throws {
    let run = try await run(
      "chmod 444 folder/report; exec \"$1\" collect --output folder/report", unsharing: ["--user"])
    #expect(run.status == .code(2) && run.errorText.contains("Permission denied"), "\(run.errorText)")
    let contents = String(decoding: try fileContents("\(directory.path)/folder/report"), as: UTF8.self)
    #expect(contents.hasPrefix("former\n"))
  }

  @Test(arguments: [
    "mkfifo cbor_metrics; cat cbor_metrics >copy &",
    "mkfifo pipe; ln -s pipe cbor_metrics; cat pipe >copy &",
  ])
  func `of a dry run may be a pipe`(preparation: String) async throws {
    let run = try await BuiltProgram(path: "/bin/sh").run([
      "-euc", "cd \"$2\"; \(preparation) \"$1\" agent -d -f cbor -s -i 5 --once; wait", "sh",
      try BuiltProgram("defender").path, directory.path,
    ])
    #expect(run.status == .code(0), "\(run.errorText)")
    let written = try JSONValue(parsingCBOR: try fileContents("\(directory.path)/copy"))
    #expect(written["hed"] != nil)
  }

  @Test func `of a dry run may be a device`() async throws {
    for (device, status) in [("/dev/null", Int32(0)), ("/dev/full", 74)] {
      let run = try await BuiltProgram(path: "/bin/sh").run([
        "-euc", "cd \"$2\"; ln -sf \(device) cbor_metrics; exec \"$1\" agent -d -f cbor -s -i 5 --once", "sh",
        try BuiltProgram("defender").path, directory.path,
      ])
      #expect(run.status == .code(status), "\(device): \(run.errorText)")
    }
  }
}
