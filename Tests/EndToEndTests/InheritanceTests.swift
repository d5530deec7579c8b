import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

/// A `bootstrap agent` that inherits an unusual process state from the program that starts it.
///
/// Its metrics command shows the state of the agent while it works. There is no broker, but the agent samples anyway.
private final class StartedAgent {
  private let directory: TemporaryDirectory
  private let program: ServerProgram

  /// Starts the agent after the lines of Python in `starter`. The metrics command also runs `command`.
  init(_ starter: String, command: String = "", _ environment: [String: String] = [:]) throws {
    directory = try TemporaryDirectory()
    program = try ServerProgram(
      "/usr/bin/env", try Self.words(starter),
      environment: try Self.environment(directory, command, environment),
      log: "\(directory.path)/log")
  }

  /// The arguments of env(1) that run the starter and then the agent.
  static func words(_ starter: String) throws -> [String] {
    let script = """
      import ctypes, os, resource, signal, sys
      \(starter)
      os.execv(sys.argv[1], sys.argv[1:])
      """
    return ["python3", "-c", script, try BuiltProgram("bootstrap").path, "agent"]
  }

  static func environment(
    _ directory: TemporaryDirectory, _ command: String, _ given: [String: String]
  ) throws -> [String: String] {
    let path = try directory.writeProgram(
      "metrics",
      """
      #!/bin/sh
      cd \(directory.path)
      \(command)
      ls -l /proc/$PPID/fd > descriptors
      cat /proc/$PPID/status > status.new
      mv status.new status
      echo '{"queue":[{"number":3}]}'

      """)
    var own = [
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1", "AWS_IOT_THING_NAME": "pump-7",
      "SAMPLE_INTERVAL_SECONDS": "0.1", "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.01", "DEFENDER_JITTER": "0",
      "AWS_EC2_METADATA_DISABLED": "true", "DEFENDER_CUSTOM_METRICS_COMMAND": path,
    ]
    // Variables that env(1) and the Python of some machines need.
    for name in ["PATH", "HOME"] { own[name] = Environment.ofThisProcess[name] }
    return own.merging(given) { $1 }
  }

  func text(of name: String) -> String {
    String(decoding: (try? fileContents("\(directory.path)/\(name)")) ?? [], as: UTF8.self)
  }

  /// Waits for `condition`. Records an issue if it doesn't hold within a minute or the agent exits.
  func wait(for condition: () -> Bool) {
    let end = BootTime.now.advanced(by: .seconds(60))
    while !condition() {
      guard BootTime.now < end, program.isRunning else {
        Issue.record("it never came to that: \(text(of: "log"))")
        return
      }
      poll(nil, 0, 5)
    }
  }

  /// Returns the current value of a field in the agent's `/proc/PID/status` (proc_pid_status(5)).
  func status(_ field: String) -> String {
    wait { !text(of: "status").isEmpty }
    let file = "/proc/\(value("Pid", in: text(of: "status")))/status"
    return value(field, in: String(decoding: (try? fileContents(file)) ?? [], as: UTF8.self))
  }

  private func value(_ field: String, in text: String) -> String {
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(field):") }
    return line.map { $0.drop { $0 != "\t" }.dropFirst() }.map(String.init) ?? ""
  }

  /// Returns the signals in a field of `/proc/PID/status`, without those of the C library.
  func signals(_ field: String) -> Set<Int32> {
    let bits = UInt64(status(field), radix: 16) ?? .max
    return Set((1...64).filter { bits >> UInt64($0 - 1) & 1 == 1 && $0 != 32 && $0 != 33 })
  }

  /// Asks the agent to stop. Records an issue unless it exits with status 0.
  func stop() {
    program.terminate()
    let end = BootTime.now.advanced(by: .seconds(60))
    while program.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    #expect(program.waitStatus == 0, "\(text(of: "log"))")
  }
}

/// Tests of each row of the table in docs/agent.md.
@Suite(.ownThreads) struct `What a daemon inherits` {
  @Test func `ignored signals get their default actions, and exit statuses are available`() throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    defer { responder.stop() }
    let agent = try StartedAgent(
      """
      for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(number, signal.SIG_IGN)
      """, ["DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(broker.plainPort)"])
    #expect(responder.waitForReports(1), "\(agent.text(of: "log"))")
    let metric = responder.reports.first?.report["custom_metrics"]?["queue"]?.array?.first?["number"]
    #expect(metric?.integer() == 3, "\(agent.text(of: "log"))")
    let kept = [SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU]
    #expect(agent.signals("SigIgn") == Set(kept))
    agent.stop()
  }

  @Test func `credential_process works under a starter that ignores SIGCHLD`() async throws {
    let directory = try TemporaryDirectory()
    let process = #"echo '{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"s"}'"#
    let profile = try directory.write("config", "[default]\ncredential_process = \(process)\n")
    let publish = [
      "publish", "--topic", "a", "--payload", "x", "--endpoint", "http://127.0.0.1:1",
    ]
    let result = try await BuiltProgram(path: "/usr/bin/env").run(
      ["--ignore-signal=CHLD", try BuiltProgram("defender").path] + publish,
      environment: ["AWS_CONFIG_FILE": profile, "AWS_REGION": "eu-west-1", "HOME": directory.path])
    // There were credentials, but no endpoint.
    #expect(result.isErrorExit && !result.errorText.contains("credential"), "\(result.errorText)")
    #expect(result.errorText.contains("127.0.0.1"), "\(result.errorText)")
  }

  @Test func `blocked signals don't stay blocked`() throws {
    let agent = try StartedAgent("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))")
    // The signals that the agent reads from a descriptor. While it starts a program it blocks all (posix_spawn(3)).
    agent.wait {
      let blocked = agent.signals("SigBlk")
      return blocked.isSubset(of: [SIGTERM, SIGINT, SIGCHLD, SIGHUP]) && blocked.contains(SIGTERM)
    }
    agent.stop()
  }

  @Test(arguments: [(0, 0o022), (0o022, 0o022), (0o007, 0o027), (0o777, 0o077)])
  func `the umask lets the agent's user write, and nobody else`(inherited: Int, used: Int) throws {
    let agent = try StartedAgent("os.umask(\(inherited))")
    #expect(Int(agent.status("Umask"), radix: 8) == used)
    agent.stop()
  }

  @Test func `closed standard descriptors are opened on /dev/null`() throws {
    let agent = try StartedAgent("for number in range(3): os.close(number)")
    agent.wait { !agent.text(of: "status").isEmpty }
    let lines = agent.text(of: "descriptors").split(separator: "\n")
    for number in 0...2 {
      #expect(lines.contains { $0.hasSuffix(" \(number) -> /dev/null") }, "\(lines)")
    }
    agent.stop()
  }

  @Test func `other descriptors stay open, but only in the agent`() throws {
    let agent = try StartedAgent(
      "os.dup2(os.open('/', os.O_RDONLY), 60, inheritable=True)", command: "ls /proc/self/fd > own")
    agent.wait { !agent.text(of: "status").isEmpty }
    #expect(agent.text(of: "descriptors").contains(" 60 -> /"))
    let own = agent.text(of: "own").split(separator: "\n")
    #expect(own.contains("1") && !own.contains("60"), "\(own)")
    agent.stop()
  }

  @Test func `a deleted working directory has no effect`() throws {
    let agent = try StartedAgent(
      """
      import tempfile
      gone = tempfile.mkdtemp()
      os.chdir(gone)
      os.rmdir(gone)
      """)
    agent.wait { agent.text(of: "log").contains("was not published") }
    #expect(!agent.text(of: "log").contains("without"), "\(agent.text(of: "log"))")
    agent.stop()
  }

  @Test func `too few descriptors cause an error that names the limit, but don't end the agent`() throws {
    let agent = try StartedAgent("resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))")
    agent.wait { agent.text(of: "log").contains("Too many open files") }
    agent.stop()
  }

  @Test func `orphans of the metrics command are reaped immediately`() throws {
    // PR_SET_CHILD_SUBREAPER: orphans become its children, as they become children of process 1 in a container.
    let orphan = "echo $$ > orphan; while [ -d /proc/$1 ]; do sleep 0.05; done"
    let agent = try StartedAgent(
      "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0",
      command: "setsid sh -c '\(orphan)' sh $$ & while [ ! -s orphan ]; do sleep 0.01; done",
      // There is no second sample that could reap them.
      ["SAMPLE_INTERVAL_SECONDS": "600"])
    agent.wait { !agent.text(of: "status").isEmpty }
    let number = try #require(Int32(agent.text(of: "orphan").prefix { $0 != "\n" }))
    agent.wait { unsafe access("/proc/\(number)", F_OK) != 0 }
    agent.stop()
  }

  @Test func `a terminal stops neither the agent nor its programs`() async throws {
    let directory = try TemporaryDirectory()
    let environment = try StartedAgent.environment(
      directory, "if true 2>/dev/null >/dev/tty; then echo one; else echo none; fi > terminal", [:])
    let terminal = try PseudoTerminal()
    // A background process group of a terminal that stops processes that write to it from the background.
    let words = try StartedAgent.words("os.setpgid(0, 0)")
    let start = "stty tostop; env \"$@\"; echo ended with $?"
    try terminal.start(BuiltProgram(path: "/bin/sh"), ["-c", start, "sh"] + words, environment: environment)
    try terminal.read(until: { $0.contains("was not published") })
    #expect(String(decoding: try fileContents("\(directory.path)/terminal"), as: UTF8.self) == "none\n")
    let status = String(decoding: try fileContents("\(directory.path)/status"), as: UTF8.self)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Pid:") })
    kill(try #require(pid_t(line.dropFirst(5))), SIGTERM)
    #expect(try terminal.wait() == 0)
    #expect(terminal.output.contains("ended with 0"), "\(terminal.output)")
  }
}
