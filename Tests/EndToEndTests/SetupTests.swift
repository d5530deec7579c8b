import Glibc
import Platform
import TestSupport
import Testing

/// Tests of `lambda/setup`, which the README's commands call first, on a machine with an unsuitable Swift.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `Setting up a build` {
  @Test(arguments: [
    ("echo 'swift: libncurses.so.6: cannot open shared object file' >&2; exit 127", "libncurses.so.6"),
    ("echo hello", "hello"), ("echo 'Swift version 5.10.1 (swift-5.10.1-RELEASE)'", "Swift 5.10.1"),
  ])
  func `explains why it can't use the installed Swift`(swift: String, words: String) async throws {
    let directory = try TemporaryDirectory()
    try directory.writeProgram("swift", "#!/bin/sh\n\(swift)\n")
    let repository = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
    let run = try await BuiltProgram(path: "\(repository)/lambda/setup").run(
      environment: ["PATH": "\(directory.path):/usr/bin:/bin"])
    #expect(run.isErrorExit && run.errorText.contains(words), "\(run.errorText)")
  }
}
