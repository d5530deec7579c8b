package import CLinux
import Glibc
package import Platform
import Synchronization

/// A program that runs during a test, and is killed when its owner is destroyed.
package final class ServerProgram {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  private var processID: pid_t = 0

  /// Starts the program at `path` with its output in the file at `log`. If `environment` is nil, it inherits the environment.
  package init(
    _ path: String, _ arguments: [String], environment: [String: String]? = nil, log: String
  ) throws {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // If the program inherited another test's connection, that would stay open as long as the program runs.
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

  /// Its status from wait(2); nil while it is running.
  package private(set) var waitStatus: Int32?

  /// Whether it is running.
  package var isRunning: Bool {
    guard processID > 0 else { return false }
    var status: Int32 = 0
    let ended = unsafe waitpid(processID, &status, WNOHANG)
    if ended == 0 { return true }
    // If other code has waited for it, the status is unknown.
    if ended == processID { waitStatus = status }
    processID = 0
    return false
  }

  /// Returns the target of the program's descriptor, such as `/dev/null`; nil if it is closed (proc_pid_fd(5)).
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

  /// Asks it to stop.
  package func terminate() {
    if processID > 0 { Glibc.kill(processID, SIGTERM) }
  }

  /// Kills the program and waits until it has ended.
  package func kill() {
    guard processID > 0 else { return }
    Glibc.kill(processID, SIGKILL)
    var status: Int32 = 0
    if (try? retryingOnInterrupt { unsafe waitpid(processID, &status, 0) }) == processID {
      waitStatus = status
    }
    processID = 0
  }

  /// Stops the program and waits until it has ended.
  package func stop() {
    guard processID > 0 else { return }
    Glibc.kill(processID, SIGTERM)
    for attempt in 0..<1_000 where isRunning {
      if attempt == 500 { Glibc.kill(processID, SIGKILL) }
      poll(nil, 0, 10)
    }
    processID = 0
  }

  /// Waits until a program listens on `port` of 127.0.0.1.
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

/// Calls `body` with the address 127.0.0.1 and `port`, and returns its result.
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

/// The next port to try. The first one depends on the process, so that concurrent test runs rarely use the same ports.
private let nextPort = Mutex(UInt16(10_000 + getpid() % 2_000 * 10))

/// Returns a port of 127.0.0.1 on which nothing listens, a different one each time.
///
/// The ports are below those that the kernel assigns automatically (ip_local_port_range, from 32768). Otherwise another test's
/// connection or server might get the port before the program that should listen on it has started.
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

/// A port of 127.0.0.1 that doesn't respond, as behind a firewall that drops packets, because its connection queue is full.
package final class SilentPort {
  package let port: UInt16
  private var descriptors: [Int32] = []

  package init() throws(Errno) {
    let listener: Int32
    (listener, port) = try listenOnLoopback()
    descriptors = [listener]
    // More connections than a queue of length 0 holds (listen(2)).
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

/// Returns attributes with which a program starts with no signal blocked, even if the tests block some, and with `flags`
/// (posix_spawnattr_setflags(3)). The caller must destroy them.
package func spawnAttributes(_ flags: Int32 = 0) -> posix_spawnattr_t {
  var attributes = posix_spawnattr_t()
  unsafe posix_spawnattr_init(&attributes)
  var signals = sigset_t()
  unsafe sigemptyset(&signals)
  unsafe posix_spawnattr_setsigmask(&attributes, &signals)
  unsafe posix_spawnattr_setflags(&attributes, Int16(flags | Int32(POSIX_SPAWN_SETSIGMASK)))
  return attributes
}
