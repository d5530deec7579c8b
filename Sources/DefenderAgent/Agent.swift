package import Platform

/// The agent as a daemon on a device, outside Lambda and Greengrass: it reports until a signal stops the process.
///
/// `bootstrap agent` configures it with the environment, and `defender agent` with command-line options. It publishes
/// over MQTT unless the configuration names another transport: Device Defender's reserved topics accept nothing else.
package struct Agent: ~Copyable {
  private var loop: ReportLoop
  private let publisher: any Publisher
  private let manager: ServiceManager?
  private let description: String
  private let once: Bool
  private let shutdown: ShutdownSignal?
  private let log: Log

  /// Creates the agent that `environment` configures. If `once` is true, it makes one report at once and doesn't loop.
  package init(_ environment: Environment, time: any Waiter, log: Log, once: Bool) throws {
    log.becomeDaemonLog(environment)
    warnOfUnknownVariables(in: environment, log: log)
    var configuration = try Configuration(environment, transport: .mqtt)
    // Like the Python agent, the loop doesn't publish its first sample. A single report is published, without deltas.
    configuration.beginsWithBaseline = !once
    configuration.connectsAtStart = !once
    // A single report is made at once, so no command can arrive before it.
    if once { configuration.mqtt?.settings.commandTopics = nil }
    let publisher = try configuration.publisher(time: time, log: log)
    try requireCredentials(of: publisher, configuration, environment, time: time)
    let watch = CertificateWatch(
      publisher, topic: try configuration.topic(for: configuration.format), time: time, log: log)
    let manager = ServiceManager(environment)
    self.publisher = publisher
    self.manager = manager
    description =
      "\(configuration.thingName ?? "this device") every \(configuration.effectiveInterval().inWords) to "
      + (configuration.transportConfiguration?.destination ?? configuration.transport.name)
    self.once = once
    shutdown = time.shutdownSignal
    self.log = log
    let renewal = ConnectionRenewal(shutdown, log: log)
    renewal.publisher = publisher
    let tasks: [(any IdleTask)?] = [
      manager.flatMap { Watchdog($0, time: time) }, renewal, publisher.idleTask, watch,
    ]
    loop = ReportLoop(
      configuration, publisher: publisher,
      time: TaskRunningWaiter(time, running: tasks.compactMap { $0 }), log: log)
    let status = manager.map { agentStatus(of: publisher, shownBy: $0, time: time) }
    loop.status = status
    watch.status = status
    renewal.status = status
  }

  /// Makes the single report, or reports until a signal stops the process. Returns false if the single report failed.
  package mutating func run() throws -> Bool {
    log.info("Reporting \(description).")
    manager?.ready(status: "Reporting \(description)")
    defer {
      manager?.stopping()
      publisher.disconnect()
    }
    let outcome = try loop.run(ReportPlan(reports: once ? 1 : nil), until: .distantFuture)
    guard let failure = outcome.failure else {
      log.info("Stopped: \(sentence("\(outcome)"))")
      return true
    }
    if once, outcome.failed > 0 {
      // The loop has already logged the reason, even if it was a signal to stop.
      log.info("No report was published.")
    } else if shutdown?.isRequested == true {
      log.info(failure)
    } else {
      log.error(failure)
    }
    return !once
  }
}

/// Returns a status that `manager` shows, and that learns from `publisher` when a connection ends or opens between two reports.
private func agentStatus(
  of publisher: any Publisher, shownBy manager: ServiceManager, time: any Waiter
) -> AgentStatus {
  let status = AgentStatus(manager.show)
  (publisher as? MQTTPublisher).map { status.follow($0, time: time) }
  return status
}
