import Glibc
import HTTPClient
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of `defender emulator --watch`.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator with --watch` {
  /// An emulator in a directory, whose build writes the text in `Sources/version` into a function.
  private final class Stage {
    let directory: TemporaryDirectory
    let program: ServerProgram

    /// `build` is what the build does first.
    init(build: String, options: [String]? = nil) throws {
      directory = try TemporaryDirectory()
      try directory.write("Sources/version", "one")
      try directory.write(
        "make.sh",
        """
        \(build)
        printf '#!/bin/sh\\nAWS_LAMBDA_FUNCTION_NAME=%s exec %s\\n' "$(cat Sources/version)" "$FUNCTION" >new
        chmod +x new && mv new function
        """)
      let chosen = options ?? ["--bootstrap", "./function", "--build", "sh make.sh"]
      program = try ServerProgram(
        "/bin/sh",
        [
          "-c", #"cd "$0" && exec "$@""#, directory.path, try BuiltProgram("defender").path, "emulator",
          "--port", "0",
        ]
          + ["--watch"] + chosen,
        environment: ["PATH": "/usr/bin:/bin", "FUNCTION": try BuiltProgram("echo-function").path],
        log: "\(directory.path)/log")
    }

    var log: String {
      (try? fileContents("\(directory.path)/log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Waits until the log contains the words `count` times.
    func wait(for words: String, count: Int = 1) throws {
      let deadline = BootTime.now.advanced(by: .seconds(120))
      while log.split(separator: words, omittingEmptySubsequences: false).count <= count {
        try #require(BootTime.now < deadline && program.isRunning, "\(log)")
        poll(nil, 0, 10)
      }
    }

    /// Stops the emulator, and returns its status from wait(2).
    func end() -> Int32? {
      program.stop()
      return program.waitStatus
    }

    /// Returns the version that the function has.
    func version() async throws -> String? {
      let url = try #require(log.split { $0.isWhitespace }.last { $0.hasSuffix("/invocations") })
      let answer = try await send("POST", String(url), #"{"ctx":1}"#)
      return try JSONValue(parsing: answer.body)["functionName"]?.string
    }
  }

  @Test func `builds, starts the new program after a change, and keeps the old one if a build fails`()
    async throws
  {
    let stage = try Stage(
      build: #"[ "$(cat Sources/version)" != broken ] || { echo "an error of the compiler"; exit 3; }"#)
    try stage.wait(for: "/invocations\n")
    #expect(try await stage.version() == "one")
    try stage.directory.write("Sources/version", "broken")
    try stage.wait(for: "the build failed (exit status 3). The old program stays in use")
    #expect(
      stage.log.contains(
        "defender: Sources/version changed, building: sh make.sh\nan error of the compiler\n"))
    #expect(try await stage.version() == "one")
    try stage.directory.write("Sources/version", "two")
    try stage.wait(for: "The next invocation starts the new program.")
    #expect(try await stage.version() == "two")
    // Nothing changes, so nothing is built.
    #expect(stage.log.split(separator: " changed, building").count == 3)
    #expect(stage.end() == 0, "\(stage.log)")
  }

  @Test func `waits longer if each build changes its own sources`() throws {
    let stage = try Stage(build: "date +%N >Sources/stamp")
    try stage.wait(for: "files changed during each of the last 3 builds, such as Sources/stamp.")
    #expect(stage.log.contains("Building at most every 30 seconds"))
  }

  @Test func `starts if the program can't be built yet, and stops during a build`() async throws {
    let stage = try Stage(build: "[ -e Sources/ready ] || exit 1; [ ! -e Sources/slow ] || exec sleep 600")
    try stage.wait(for: "/invocations\n")
    let url = try #require(stage.log.split { $0.isWhitespace }.last)
    let failed = try await send("POST", String(url), "{}")
    #expect(String(decoding: failed.body, as: UTF8.self).contains("can't start ./function"))
    try stage.directory.write("Sources/ready", "")
    try stage.wait(for: "The next invocation starts the new program.")
    #expect(try await stage.version() == "one")
    try stage.directory.write("Sources/slow", "")
    try stage.wait(for: "Sources/slow changed, building")
    #expect(stage.end() == 0, "\(stage.log)")
  }

  @Test func `says what to do if it doesn't know how to build the program`() async throws {
    let run = try await BuiltProgram("defender").run(["emulator", "--watch", "--bootstrap", "/bin/true"])
    #expect(run.status == .code(2))
    #expect(run.errorText.contains("--watch doesn't know how to build /bin/true"), "\(run.errorText)")
    #expect(run.errorText.contains("add --build and a command"))
  }
}
