import Platform

/// Closes a publisher's connection after a SIGHUP, so that the next report opens one with the certificate and key that the
/// files hold now.
///
/// The signal may arrive during a publish, so the callback only sets a flag. The connection is closed when the loop sleeps
/// or wakes: between two reports.
final class ConnectionRenewal {
  private var isDue = false
  /// Whether this process makes the connection. On Greengrass's own transport the nucleus does, and SIGHUP changes nothing.
  var ownsConnection = true

  /// Logs each SIGHUP when it comes.
  init(_ shutdown: ShutdownSignal?, log: Log) {
    shutdown?.whenHungUp = { [weak self] in
      guard let self, self.ownsConnection else {
        return log.info(
          "Received SIGHUP. It changes nothing here: the Greengrass nucleus makes the connection.")
      }
      self.isDue = true
      log.info(
        "Received SIGHUP. The next report opens a new connection. If a certificate and key are configured, they are read "
          + "again; a changed password needs a restart unless a role alias is used.")
    }
  }

  /// Wraps `time` so that the connection of `publisher` is closed between two reports, if that is due.
  func pacing(_ time: any TimeKeeper, _ publisher: any Publisher) -> any TimeKeeper {
    RenewingTime(time: time, publisher: publisher, renewal: self)
  }

  fileprivate func closeIfDue(_ publisher: any Publisher) {
    guard isDue else { return }
    isDue = false
    publisher.renew()
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
