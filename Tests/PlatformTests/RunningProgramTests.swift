import Dispatch
import Glibc
import Platform
import TestSupport
import Testing

@Suite struct `A program that is run` {
  private func run(
    _ script: String, limit: Int = 1_000, timeout: Duration = .seconds(20),
    environment: [String: String] = [:]
  ) throws -> [UInt8] {
    let directory = try TemporaryDirectory()
    let path = try directory.writeProgram("program", "#!/bin/sh\n\(script)\n")
    var program = Program(path, outputLimit: limit)
    program.environment = environment
    return try program.output(until: .now.advanced(by: timeout))
  }

  @Test(arguments: [("", ""), ("echo one; echo two", "one\ntwo\n"), ("cat", ""), ("echo x >&2", "")])
  func `returns what a program wrote`(script: String, output: String) throws {
    #expect(String(decoding: try run(script), as: UTF8.self) == output)
  }

  @Test func `can be run although another thread forked while it was written`() throws {
    let directory = try TemporaryDirectory()
    let pipe = try directory.makePipe("pipe")
    let ended = DispatchSemaphore(value: 0)
    DispatchQueue.global().async {
      while !hasBegun(directory) {}
      startTrue(openingFirst: pipe)
      ended.signal()
    }
    let contents = Array("#!/bin/sh\necho 1\nexit\n".utf8) + [UInt8](repeating: 0x0A, count: 64 << 20)
    let path = try directory.writeProgram("program", contents)
    let output = Result { try Program(path, outputLimit: 10).output(until: .now.advanced(by: .seconds(60))) }
    // Lets the other thread's child continue. Until now, it has kept all descriptors that were open when it was forked.
    let writer = FileDescriptor(owning: try retryingOnInterrupt { unsafe open(pipe, O_WRONLY | O_CLOEXEC) })
    ended.wait()
    withExtendedLifetime(writer) {}
    #expect(try output.get() == Array("1\n".utf8))
  }

  @Test func `gets the given environment, and nothing else`() throws {
    let output = try run("/usr/bin/env", environment: ["A": "1"])
    let lines = String(decoding: output, as: UTF8.self).split(separator: "\n")
    #expect(lines.contains("A=1"))
    // Everything else must be a variable that the shell itself sets.
    #expect(lines.allSatisfy { ["A", "PWD", "OLDPWD", "SHLVL", "_"].contains($0.prefix { $0 != "=" }) })
  }

  private func shell(_ script: String, errorLimit: Int) -> Program {
    var program = Program("/bin/sh", outputLimit: 1_000)
    program.arguments = ["-c", script]
    program.environment = ["PATH": "/usr/bin:/bin"]
    program.errorLimit = errorLimit
    return program
  }

  @Test(arguments: [
    ("echo why >&2; echo done", "why\n", 4),
    ("head -c 1048576 /dev/zero | tr '\\0' e >&2; echo done", "eeeee", 1_048_576),
    ("echo done; exec >&-; head -c 1048576 /dev/zero | tr '\\0' e >&2", "eeeee", 1_048_576),
    ("exec 2>&-; echo done", "", 0), ("printf a >&2; exec 2>&-; sleep 0.1; echo done", "a", 1),
  ])
  func `keeps the beginning of standard error, whatever its length, and the whole output`(
    script: String, kept: String, count: Int
  ) throws {
    var errors = Program.Errors()
    let output = try shell(script, errorLimit: 5).output(
      until: .now.advanced(by: .seconds(60)), or: nil, errors: &errors)
    #expect(String(decoding: output, as: UTF8.self) == "done\n")
    #expect(String(decoding: errors.kept, as: UTF8.self) == kept)
    #expect(errors.count == count)
  }

  @Test(arguments: [
    ("echo why >&2; exit 3", ProgramError.exited(status: 3)),
    ("echo why >&2; kill -9 $$", .killed(signal: 9)),
    ("echo why >&2; head -c 1001 /dev/zero", .tooMuchOutput(limit: 1_000)),
  ])
  func `keeps the standard error of a program that failed`(script: String, error: ProgramError) {
    var errors = Program.Errors()
    #expect(throws: error) {
      try shell(script, errorLimit: 100).output(
        until: .now.advanced(by: .seconds(60)), or: nil, errors: &errors)
    }
    #expect(String(decoding: errors.kept, as: UTF8.self) == "why\n")
  }

  @Test func `stops a program that writes to its standard error without an end`() {
    var errors = Program.Errors()
    #expect(throws: ProgramError.timedOut) {
      try shell("exec cat /dev/zero >&2", errorLimit: 5).output(
        until: .now.advanced(by: .milliseconds(200)), or: nil, errors: &errors)
    }
    #expect(errors.kept == [0, 0, 0, 0, 0])
  }

  @Test(arguments: ["sleep 600 & echo done", "exec 3>&2; (exec cat /dev/zero >&3 2>&3) & echo done"])
  func `doesn't wait for a process that keeps standard error open`(script: String) throws {
    var errors = Program.Errors()
    let output = try shell(script, errorLimit: 5).output(
      until: .now.advanced(by: .seconds(60)), or: nil, errors: &errors)
    #expect(String(decoding: output, as: UTF8.self) == "done\n")
  }

  @Test func `drops the standard error of a program if none of it is kept`() throws {
    let program = shell("readlink /proc/self/fd/2", errorLimit: 0)
    let output = try program.output(until: .now.advanced(by: .seconds(20)))
    #expect(String(decoding: output, as: UTF8.self) == "/dev/null\n")
  }

  @Test(
    arguments: [
      ("exit 3", ProgramError.exited(status: 3)), ("kill -9 $$", .killed(signal: 9)),
      ("head -c 1001 /dev/zero", .tooMuchOutput(limit: 1_000)),
      ("while :; do echo more; done", .tooMuchOutput(limit: 1_000)),
    ])
  func `reports how a program failed`(script: String, error: ProgramError) {
    #expect(throws: error) { try run(script) }
  }

  @Test(arguments: ["sleep 600", "exec sleep 600 >&-", "trap '' TERM; sleep 600"])
  func `stops a program that takes too long`(script: String) {
    #expect(throws: ProgramError.timedOut) { try run(script, timeout: .milliseconds(100)) }
  }

  @Test func `doesn't wait for a program's leftover processes, and ends them`() throws {
    let directory = try TemporaryDirectory()
    let output = try run("sleep 600 & echo $! > \(directory.path)/pid; echo done")
    #expect(String(decoding: output, as: UTF8.self) == "done\n")
    let text = String(decoding: try readFile("\(directory.path)/pid", limit: 100), as: UTF8.self)
    let child = try #require(Int32(text.prefix { $0 != "\n" }))
    // The child is killed, but on a busy machine that takes time, and the process that adopted it may not have reaped it
    // yet.
    let end = BootTime.now.advanced(by: .seconds(60))
    while isRunning(child), BootTime.now < end { poll(nil, 0, 5) }
    #expect(!isRunning(child))
  }

  @Test func `ends the whole process group of a program`() throws {
    // A session leader can't leave its process group (setpgid(2)). This uses Python because a shell only moves its
    // children.
    let script = """
      import os
      try: os.setpgid(0, os.getpgid(os.getppid()))
      except PermissionError: print('stays')
      """
    let output = try run("exec /usr/bin/env python3 -c \"\(script)\"", timeout: .seconds(60))
    #expect(String(decoding: output, as: UTF8.self) == "stays\n")
  }

  private func isRunning(_ process: Int32) -> Bool {
    guard let stat = try? readFile("/proc/\(process)/stat", limit: 1_000) else { return false }
    let text = String(decoding: stat, as: UTF8.self)
    return !text.contains(") Z ") && !text.contains(") X ")
  }

  @Test(arguments: ["/no/such/program", "/tmp", "/etc/passwd"])
  func `reports why a program can't be started`(path: String) throws {
    let error = try #require(throws: ProgramError.self) {
      try Program(path, outputLimit: 10).output(until: .now.advanced(by: .seconds(5)))
    }
    guard case .notStarted = error else {
      Issue.record("\(error)")
      return
    }
  }
}

/// Returns whether the program or its source has been created in a directory.
private func hasBegun(_ directory: TemporaryDirectory) -> Bool {
  ["program", "program.source"].contains { unsafe access("\(directory.path)/\($0)", F_OK) == 0 }
}

/// Starts true(1) in a child that first opens a pipe, which blocks it between fork and execve, and waits for it.
private func startTrue(openingFirst pipe: String) {
  var actions = unsafe posix_spawn_file_actions_t()
  unsafe posix_spawn_file_actions_init(&actions)
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  unsafe posix_spawn_file_actions_addopen(&actions, 200, pipe, O_RDONLY, 0)
  var words = unsafe [strdup("true"), nil]
  defer { unsafe words.forEach { unsafe free($0) } }
  var child: pid_t = 0
  if unsafe posix_spawn(&child, "/bin/true", &actions, nil, &words, nil) == 0 {
    _ = waitpid(child, nil, 0)
  }
}
