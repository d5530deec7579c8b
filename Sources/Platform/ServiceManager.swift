import CLinux
import Glibc

/// The service manager that started this process and expects status notifications (sd_notify(3)).
///
/// The protocol is one datagram per notification on a Unix socket, so systemd's library isn't needed.
package struct ServiceManager: Sendable {
  private let socketPath: String
  /// The longest time between two ``alive()`` calls that the manager accepts; nil if it sets no limit (`WatchdogSec=`,
  /// sd_watchdog_enabled(3)).
  package let watchdogInterval: Duration?

  /// Nil if `NOTIFY_SOCKET` isn't set, or if its value isn't a valid path or abstract name of a socket.
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

  /// Reports that the service is up.
  package func ready(status: String) { send("READY=1\nSTATUS=\(escapingControlCharacters(status))") }

  /// Replaces the status text, which `systemctl status` shows.
  package func show(status: String) { send("STATUS=\(escapingControlCharacters(status))") }

  /// Reports that the service is alive.
  package func alive() { send("WATCHDOG=1") }

  /// Reports that the service is stopping.
  package func stopping() { send("STOPPING=1") }

  /// Sends one message. Errors are ignored: if the manager can't be reached, the failure can't be reported to it either.
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

/// Reports to the service manager that the process is alive, twice per watchdog interval.
package final class Watchdog: IdleTask {
  private let manager: ServiceManager
  private let time: any TimeSource
  private let interval: Duration
  package private(set) var nextDue: BootTime?

  /// Nil if the manager doesn't watch this process.
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
