package import Platform

/// `function_handler` as a daemon on a device, outside of Lambda and Greengrass: the loop that never returns by itself.
///
/// What `bootstrap agent` runs, configured by the environment, and `defender agent`, which makes options of that. It
/// publishes over MQTT where nothing else is asked for: Device Defender's own topics take nothing else.
package struct Agent: ~Copyable {
  private var loop: ReportLoop
  private let publisher: any Publisher
  private let manager: ServiceManager?
  private let description: String
  private let once: Bool
  private let shutdown: ShutdownSignal?
  private let log: Log

  /// The agent that the environment configures; `once` for one report at once instead of the loop.
  package init(_ environment: Environment, time: any Waiter, log: Log, once: Bool) throws {
    warnOfUnknownVariables(in: environment, log: log)
    var configuration = try Configuration(environment, transport: .mqtt)
    // The Python agent doesn't publish its first sample either. Who wants one report gets it, without deltas.
    configuration.beginsWithBaseline = !once
    publisher = try configuration.publisher(time: time, log: log)
    manager = ServiceManager(environment)
    description =
      "reports about \(configuration.thingName ?? "no thing in particular") every "
      + "\(configuration.interval.inWords) over \(configuration.transport.name)"
    self.once = once
    shutdown = time.shutdownSignal
    self.log = log
    let renewal = ConnectionRenewal(shutdown, log: log)
    renewal.publisher = publisher
    let tasks: [(any IdleTask)?] = [
      manager.flatMap { Watchdog($0, time: time) }, renewal, publisher.idleTask,
    ]
    loop = ReportLoop(
      configuration, publisher: publisher,
      time: TaskRunningWaiter(time, running: tasks.compactMap { $0 }), log: log)
  }

  /// Reports until the process is asked to stop; false where one was asked for and nothing was published.
  package mutating func run() throws -> Bool {
    log.info("Begins with \(description).")
    manager?.ready(status: description)
    defer {
      manager?.stopping()
      publisher.disconnect()
    }
    let outcome = try loop.run(ReportPlan(reports: once ? 1 : nil), until: .distantFuture)
    guard let failure = outcome.failure else {
      log.info("Stopped: \(sentence("\(outcome)"))")
      return true
    }
    if shutdown?.isRequested == true { log.info(failure) } else { log.error(failure) }
    return !once
  }
}
