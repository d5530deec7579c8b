package import CLinux
import Glibc
package import Platform
import Synchronization

/// A program that serves, or is watched, while a test runs, and is ended with its owner.
package final class ServerProgram {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  private var processID: pid_t = 0

  /// Starts the program at `path`; what it writes goes to the file at `log`. Without an `environment` it has ours.
  package init(
    _ path: String, _ arguments: [String], environment: [String: String]? = nil, log: String
  ) throws {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Another test's connection would stay open for as long as this program runs, whoever closes it.
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = spawnAttributes()
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var words = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
    var variables = unsafe (environment ?? [:]).map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (words + variables).forEach { unsafe free($0) } }
    let result =
      environment == nil
      ? unsafe posix_spawn(&processID, path, &actions, &attributes, &words, environ)
      : unsafe posix_spawn(&processID, path, &actions, &attributes, &words, &variables)
    guard result == 0 else {
      throw Failure(description: "\(path) wasn't started: \(Errno(rawValue: result)); is it installed?")
    }
  }

  deinit { stop() }

  /// What it ended with, as wait(2) tells it; nil before.
  package private(set) var waitStatus: Int32?

  /// Whether it still runs.
  package var isRunning: Bool {
    guard processID > 0 else { return false }
    var status: Int32 = 0
    let ended = unsafe waitpid(processID, &status, WNOHANG)
    if ended == 0 { return true }
    // Nobody knows the status of one that somebody else has waited for.
    if ended == processID { waitStatus = status }
    processID = 0
    return false
  }

  /// Returns what a descriptor of the program leads to, such as `/dev/null`; nil if it is closed (proc_pid_fd(5)).
  package func target(ofDescriptor descriptor: Int32) -> String? {
    var target = [CChar](repeating: 0, count: 4_096)
    let count = unsafe readlink("/proc/\(processID)/fd/\(descriptor)", &target, target.count)
    return count < 0
      ? nil : String(decoding: target.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Sends it a signal.
  package func send(_ signal: Int32) {
    if processID > 0 { Glibc.kill(processID, signal) }
  }

  /// Asks it to end.
  package func terminate() {
    if processID > 0 { Glibc.kill(processID, SIGTERM) }
  }

  /// Kills the program and waits until it is gone.
  package func kill() {
    guard processID > 0 else { return }
    Glibc.kill(processID, SIGKILL)
    var status: Int32 = 0
    if (try? retryingOnInterrupt { unsafe waitpid(processID, &status, 0) }) == processID {
      waitStatus = status
    }
    processID = 0
  }

  /// Ends the program and waits until it is gone.
  package func stop() {
    guard processID > 0 else { return }
    Glibc.kill(processID, SIGTERM)
    for attempt in 0..<1_000 where isRunning {
      if attempt == 500 { Glibc.kill(processID, SIGKILL) }
      poll(nil, 0, 10)
    }
    processID = 0
  }

  /// Waits until something listens on `port` of 127.0.0.1.
  package func waitUntilListening(on port: UInt16, log: String) throws {
    for _ in 0..<1_000 {
      let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      let probe = FileDescriptor(owning: socket(AF_INET, type, 0))
      if unsafe withLoopbackAddress(port, { unsafe connect(probe.rawValue, $0, $1) }) == 0 { return }
      guard isRunning else { break }
      poll(nil, 0, 10)
    }
    let text = (try? readFile(log, limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? "nothing"
    throw Failure(description: "nothing listens on port \(port); the log says: \(text)")
  }
}

/// What `body` makes of the address 127.0.0.1 with `port`.
func withLoopbackAddress<Value>(
  _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
) -> Value {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
  return unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      unsafe body(generic, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}

/// The next port to look at; another place to begin in each process, so that two runs of the tests rarely meet.
private let nextPort = Mutex(UInt16(10_000 + getpid() % 2_000 * 10))

/// A port of 127.0.0.1 that nobody listens on; another one each time.
///
/// Lies below those that the kernel gives to whoever asks for none in particular (ip_local_port_range, from 32768 on): a
/// connection or a server of another test would have that one before a program has started that is to listen on it.
package func freePort() throws(Errno) -> UInt16 {
  for _ in 0..<1_000 {
    let port = nextPort.withLock { next in
      defer { next = next < 31_999 ? next + 1 : 10_000 }
      return next
    }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let probe = FileDescriptor(owning: try retryingOnInterrupt { socket(AF_INET, type, 0) })
    if unsafe withLoopbackAddress(port, { unsafe bind(probe.rawValue, $0, $1) }) == 0 { return port }
  }
  throw Errno(rawValue: EADDRINUSE)
}

/// A port of 127.0.0.1 that answers nothing, as behind a firewall that drops what comes: its queue of connections is full.
package final class SilentPort {
  package let port: UInt16
  private var descriptors: [Int32] = []

  package init() throws(Errno) {
    let listener: Int32
    (listener, port) = try listenOnLoopback()
    descriptors = [listener]
    // What a queue of none holds (listen(2)), and more.
    _ = try retryingOnInterrupt { listen(listener, 0) }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    for _ in 0..<4 {
      let descriptor = try retryingOnInterrupt { socket(AF_INET, type, 0) }
      descriptors.append(descriptor)
      _ = unsafe withLoopbackAddress(port) { unsafe connect(descriptor, $0, $1) }
    }
  }

  deinit {
    for descriptor in descriptors { close(descriptor) }
  }
}

/// Attributes of a program that is started with no signal blocked, whatever the tests have blocked, and with `flags`
/// (posix_spawnattr_setflags(3)). The caller destroys them.
package func spawnAttributes(_ flags: Int32 = 0) -> posix_spawnattr_t {
  var attributes = posix_spawnattr_t()
  unsafe posix_spawnattr_init(&attributes)
  var signals = sigset_t()
  unsafe sigemptyset(&signals)
  unsafe posix_spawnattr_setsigmask(&attributes, &signals)
  unsafe posix_spawnattr_setflags(&attributes, Int16(flags | Int32(POSIX_SPAWN_SETSIGMASK)))
  return attributes
}
