import Foundation
import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@testable import LambdaEmulator

@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `A child process` {
  /// Runs a shell script until it exits.
  private func run(
    _ script: String, environment: [String: String] = [:]
  ) async throws -> (status: ProcessStatus, lines: [String]) {
    let process = try await ChildProcess.start(
      "/bin/sh", arguments: ["-c", script], environment: environment)
    let lines = Mutex<[String]>([])
    let status = await process.wait { line in lines.withLock { $0.append(line) } }
    #expect(process.hasEnded)
    #expect(process.peakMemory == nil)
    // Has no effect, because the process has ended.
    process.send(SIGKILL)
    return (status, lines.withLock { $0 })
  }

  @Test(
    arguments: [
      ("exit 0", .code(0)), ("exit 255", .code(255)), ("kill -KILL $$", .signal(SIGKILL)),
      ("kill -TERM $$", .signal(SIGTERM)),
    ] as [(String, ProcessStatus)])
  func `reports how the process ended`(script: String, status: ProcessStatus) async throws {
    #expect(try await run(script).status == status)
  }

  @Test func `doesn't leak descriptors, signal masks or variables to the process`() async throws {
    // Blocked and ignored signals would be inherited by default.
    let (status, lines) = try await run(
      "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; env | grep -v PWD= ; read x; echo end $?",
      environment: ["A": "b c", "PATH": "/bin:/usr/bin"])
    #expect(status == .code(0))
    let plain = lines.filter { !$0.contains("=") }
    // Descriptor 3 is the directory that ls reads.
    #expect(plain.prefix(4) == ["0", "1", "2", "3"])
    for mask in plain.dropFirst(4).dropLast() {
      // Signals 32 and 33 are reserved by the C library, which doesn't let a program change them.
      let signals = UInt64(mask.suffix(16), radix: 16).map { $0 & ~(3 << 31) }
      #expect(signals == 0, "\(mask)")
    }
    #expect(plain.count == 7)
    #expect(plain.last == "end 1")
    #expect(Set(lines.filter { $0.contains("=") && !$0.hasPrefix("_=") }) == ["A=b c", "PATH=/bin:/usr/bin"])
  }

  @Test func `passes on lines of any length, and a last line without a line feed`() async throws {
    let (_, lines) = try await run(
      "echo; echo a; echo b >&2; head -c 300000 /dev/zero | tr '\\\\0' x; echo; printf end",
      environment: ["PATH": "/bin:/usr/bin"])
    #expect(lines.prefix(3) == ["", "a", "b"])
    #expect(lines.dropFirst(3).dropLast().joined().utf8.count == 300_000)
    #expect(lines.last == "end")
  }

  @Test func `passes on the output so far on request`() async throws {
    let process = try await ChildProcess.start(
      "/bin/sh", arguments: ["-c", "kill -STOP $$; echo never"], environment: [:])
    let lines = Mutex<[String]>([])
    async let status = process.wait { line in lines.withLock { $0.append(line) } }
    for _ in 1...3 { await process.outputSoFar() }
    #expect(lines.withLock { $0 } == [])
    #expect(!process.hasEnded)
    #expect((process.peakMemory ?? 0) > 0)
    process.send(SIGKILL)
    #expect(await status == .signal(SIGKILL))
    await process.outputSoFar()
  }

  @Test func `ends a process that has left its process group`() async throws {
    let script = """
      import os, signal
      os.setpgid(0, os.getpgid(os.getppid()))
      print('left', flush=True)
      signal.pause()
      """
    let process = try await ChildProcess.start(
      "/usr/bin/env", arguments: ["python3", "-c", script], environment: ["PATH": "/bin:/usr/bin"])
    let status = await process.wait { line in
      if line == "left" { process.send(SIGTERM) }
    }
    #expect(status == .signal(SIGTERM))
  }

  @Test func `notices the end of a process that writes constantly`() async throws {
    let process = try await ChildProcess.start("/usr/bin/yes", environment: [:])
    let count = Mutex(0)
    async let status = process.wait { _ in count.withLock { $0 += 1 } }
    while count.withLock({ $0 }) < 1_000 { await process.outputSoFar() }
    process.send(SIGKILL)
    #expect(await status == .signal(SIGKILL))
  }

  @Test func `is started as soon as nobody writes its program`() async throws {
    let directory = try TemporaryDirectory()
    let program = try directory.executable("exit 3")
    let writer = try retryingOnInterrupt { unsafe open(program, O_WRONLY | O_CLOEXEC) }
    // On its own thread, because a task could wait for one longer than the start does for the file.
    Thread {
      poll(nil, 0, 200)
      close(writer)
    }.start()
    let process = try await ChildProcess.start(program, environment: [:])
    #expect(await process.wait { _ in } == .code(3))
  }

  @Test(arguments: [("/nowhere", ENOENT), ("/etc/passwd", EACCES), ("/", EACCES)])
  func `reports why a program can't be started`(program: String, code: Int32) async throws {
    let error = await #expect(throws: LaunchError.self) {
      try await ChildProcess.start(program, environment: [:])
    }
    #expect(error == LaunchError(program: program, reason: Errno(rawValue: code)))
  }

  @Test(
    arguments: [
      ([], []), (["a"], ["a"]), (["a\n"], ["a"]), (["\n\n"], ["", ""]),
      (["a", "b\nc", "", "\n"], ["ab", "c"]),
      (["\r\n"], ["\r"]), (["\u{0}\n"], ["\u{0}"]),
    ] as [([String], [String])])
  func `splits the output into lines`(pieces: [String], lines: [String]) {
    var handed: [String] = []
    withoutActuallyEscaping({ (line: String) in handed.append(line) }) { onLine in
      var splitter = LineSplitter(onLine)
      for piece in pieces { splitter.append(Array(piece.utf8)) }
      splitter.finish()
    }
    #expect(handed == lines)
  }
}
