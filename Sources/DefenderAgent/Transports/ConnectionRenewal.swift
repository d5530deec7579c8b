import Platform

/// Closes a publisher's connection after a SIGHUP, so that the next one uses the certificate and key that the files hold now.
/// The next report opens that connection, or the publisher itself within seconds if it receives commands.
///
/// The signal may arrive during a publish, so the callback only sets a flag. The connection is closed while the loop waits:
/// between two reports.
final class ConnectionRenewal: IdleTask {
  private var isDue = false
  /// The publisher whose connection is closed; nil while there is none.
  var publisher: (any Publisher)?
  /// Whether this process opens the connection. With the transport `greengrass` the nucleus does, and SIGHUP has no effect.
  var ownsConnection = true
  /// Shows that the connection was closed; nil if there is no service manager.
  var status: AgentStatus?

  /// Starts to react to SIGHUP, and logs each one when it arrives.
  init(_ shutdown: ShutdownSignal?, log: Log) {
    shutdown?.whenHungUp = { [weak self] in
      guard let self, self.ownsConnection else {
        return log.info(
          "Received SIGHUP, which has no effect: the Greengrass nucleus owns the connection.")
      }
      self.isDue = true
      let receivesCommands = (self.publisher as? any CommandReceiver)?.commandTopics != nil
      log.info(
        "Received SIGHUP. "
          + (receivesCommands
            ? "The agent opens a new connection within seconds." : "The next report opens a new connection.")
          + " If a certificate and key are configured, they are read again, with the key's password.")
    }
  }

  /// At once after a SIGHUP; nil otherwise.
  var nextDue: BootTime? { isDue ? BootTime(nanosecondsSinceBoot: 0) : nil }

  func run(until deadline: BootTime) {
    isDue = false
    guard let publisher else { return }
    let wasConnected = publisher.isConnected
    // An answer or a command may have arrived that nobody has read yet. It would be lost with the connection.
    if wasConnected { publisher.idleTask?.run(until: deadline) }
    publisher.renew()
    if wasConnected { status?.renewed(isConnected: false) }
  }
}
