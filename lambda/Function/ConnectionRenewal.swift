import AWSClient
import Platform

/// Closes a publisher's connection after a SIGHUP, so that the next report opens one with the certificate and key that the
/// files hold now.
///
/// The signal is seen in the middle of anything, even of a publish, and only noted there. The connection is closed when the
/// loop sleeps or wakes: between two reports.
final class ConnectionRenewal {
  private var isDue = false

  /// Logs each SIGHUP when it comes.
  init(_ shutdown: ShutdownSignal?, log: Log) {
    shutdown?.whenHungUp = { [weak self] in
      self?.isDue = true
      log.info(
        "Received SIGHUP. The next report opens a new connection, which reads the certificate and key again.")
    }
  }

  /// Wraps `time` so that the connection of `publisher` is closed between two reports, if that is due.
  func pacing(_ time: any TimeKeeper, _ publisher: any Publisher) -> any TimeKeeper {
    RenewingTime(time: time, publisher: publisher, renewal: self)
  }

  fileprivate func closeIfDue(_ publisher: any Publisher) {
    guard isDue else { return }
    isDue = false
    publisher.disconnect()
  }
}

private struct RenewingTime: TimeKeeper {
  let time: any TimeKeeper
  let publisher: any Publisher
  let renewal: ConnectionRenewal

  var wallTime: WallTime { time.wallTime }
  var bootTime: BootTime { time.bootTime }
  var shutdownSignal: ShutdownSignal? { time.shutdownSignal }

  func sleep(until instant: BootTime) -> Wake {
    renewal.closeIfDue(publisher)
    let wake = time.sleep(until: instant)
    renewal.closeIfDue(publisher)
    return wake
  }
}
