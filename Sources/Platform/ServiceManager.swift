import CLinux
import Glibc

/// The service manager that started this process, where one wants to be told how it goes (sd_notify(3)).
///
/// One datagram on a Unix socket is all that the protocol is; systemd's library isn't needed for it.
package struct ServiceManager: Sendable {
  private let socketPath: String
  /// The longest silence that the manager accepts; nil for any (`WatchdogSec=`, sd_watchdog_enabled(3)).
  package let watchdogInterval: Duration?

  /// Nil where `NOTIFY_SOCKET` isn't set, or isn't a path or abstract name that a socket can have.
  package init?(_ environment: Environment) {
    guard
      let path = environment.value("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@"),
      path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    else { return nil }
    socketPath = path
    let isMeant = environment.value("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
    let microseconds = environment.value("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
    watchdogInterval = isMeant && microseconds > 0 ? .microseconds(microseconds) : nil
  }

  /// The service is up.
  package func ready(status: String) { send("READY=1\nSTATUS=\(escapingControlCharacters(status))") }

  /// The service is alive.
  package func alive() { send("WATCHDOG=1") }

  /// The service is going down.
  package func stopping() { send("STOPPING=1") }

  /// Sends one message. A manager that can't be reached has nobody to tell about it either.
  private func send(_ message: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(socketPath.utf8)
    // An abstract name begins with NUL, and is written with @ (unix(7)).
    if name.first == UInt8(ascii: "@") { name[0] = 0 }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard let descriptor = try? retryingOnInterrupt({ socket(AF_UNIX, type, 0) }) else { return }
    let endpoint = FileDescriptor(owning: descriptor)
    let bytes = Array(message.utf8)
    _ = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe sendto(
          endpoint.rawValue, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), generic, size)
      }
    }
  }
}

/// Reports to the service manager that the process is alive, twice in each of the manager's intervals.
package final class Watchdog: IdleTask {
  private let manager: ServiceManager
  private let time: any TimeSource
  private let interval: Duration
  package private(set) var nextDue: BootTime?

  /// Nil if the manager doesn't watch.
  package init?(_ manager: ServiceManager, time: any TimeSource) {
    guard let watchdogInterval = manager.watchdogInterval else { return nil }
    self.manager = manager
    self.time = time
    interval = watchdogInterval / 2
    nextDue = time.bootTime
  }

  package func run(until deadline: BootTime) {
    manager.alive()
    nextDue = time.bootTime.advanced(by: interval)
  }
}
