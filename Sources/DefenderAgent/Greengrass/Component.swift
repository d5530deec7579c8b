import AWSClient
import DeviceDefender
package import GreengrassIPC
package import Platform
import WireFormats

/// The agent as a Greengrass component: it reports until a signal stops the process.
///
/// Neither a temporary failure nor one that a deployment can correct ends the process. A nucleus gives up on a component
/// that ended three times within an hour, and then only a new deployment starts it again.
package struct Component: ~Copyable {
  private let environment: Environment
  private let client: IPCClient
  private let time: any Waiter
  private let log: Log
  private let greengrass: GreengrassPublisher
  private let watch: NucleusWatch
  private let renewal: ConnectionRenewal
  private var loggedTexts: Set<String> = []
  /// The component configuration and the token from which the current plan was made.
  private var planned: (configuration: ComponentConfiguration, token: Secret?)?

  /// The time limit of a publish if the interval is shorter than this.
  private static let leastPublishTime = Duration.seconds(10)

  /// Creates a component that runs until `time`'s shutdown signal requests a stop.
  package init(_ environment: Environment, _ client: IPCClient, time: any Waiter, log: Log) {
    self.environment = environment
    self.client = client
    self.time = time
    self.log = log
    log.becomeDaemonLog(environment)
    greengrass = GreengrassPublisher(client, time: time, log: log)
    watch = NucleusWatch(client, time: time, log: log)
    renewal = ConnectionRenewal(time.shutdownSignal, log: log)
  }

  private var isAskedToStop: Bool { time.shutdownSignal?.isRequested == true }

  /// A configuration, with a publisher and a waiter that follow it.
  private struct Plan {
    let configuration: Configuration
    let publisher: any Publisher
    let time: any Waiter
    /// Nil if the nucleus has the certificate.
    var watch: CertificateWatch?
  }

  /// Reports, and applies each change of the component configuration. Returns when a signal stops the process.
  package mutating func run() {
    log.info("Started as a Greengrass component.")
    guard var plan = nextPlan(after: nil) else { return }
    // With the lifecycle `startup`, the nucleus waits for this state, and the first report may be an interval away.
    watch.report(.running)
    var loop = ReportLoop(
      plan.configuration, publisher: plan.publisher, time: plan.time, log: log)
    loop.status = ServiceManager(environment).map { AgentStatus($0.show) }
    renewal.status = loop.status
    while true {
      plan.watch?.status = loop.status
      do {
        let outcome = try loop.run(ReportPlan(), until: .distantFuture)
        log.debug("The report loop ended (\(outcome.ended.rawValue)): \(sentence("\(outcome)"))")
      } catch {
        // Not expected, because the configuration has already validated the topic.
        log.error("The report loop failed: \(sentence("\(error)"))")
      }
      guard !isAskedToStop, let next = nextPlan(after: plan) else { break }
      plan = next
      loop.resume(with: plan.configuration, publisher: plan.publisher, time: plan.time)
    }
    log.info("Stopped: a signal requested it.")
  }

  /// Returns the plan for the component configuration that the nucleus has now; nil if a signal stops the process first.
  ///
  /// If the configuration is unusable, the `former` plan stays in use, so that a deployment with a mistake doesn't stop the
  /// reports. If there is no former plan, the configuration is read again until it is usable.
  private mutating func nextPlan(after former: Plan?) -> Plan? {
    while !isAskedToStop {
      client.forgetRefusals()
      if let read = readConfiguration() {
        let token = watch.issuedToken
        // The nucleus sends one event per changed key, and the first read already sees all changes.
        if let former, let planned, planned == (read, token) { return former }
        if let plan = plan(read, after: former) {
          let isOther = planned.map { $0.configuration != read } ?? false
          planned = (read, token)
          greengrass.retries.count = read.retryCount ?? GreengrassPublisher.RetryPolicy().count
          if isOther { log.info("Applied a new component configuration.") }
          return plan
        }
      }
      if isAskedToStop { break }
      if let former { return former }
      // Only a new deployment or a restart of the nucleus is likely to help; read again after 300 s at the latest.
      _ = client.serve(until: time.bootTime.advanced(by: .seconds(300))) { [watch] in watch.hasNews }
    }
    return nil
  }

  /// Reads the component configuration, and tries again until the nucleus answers; nil if a signal stops the process.
  private mutating func readConfiguration() -> ComponentConfiguration? {
    while !isAskedToStop {
      do throws(IPCError) {
        return try watch.read(until: time.bootTime.advanced(by: NucleusWatch.callTimeout))
      } catch {
        if case .refused = error {
          warnOnce("Can't read the component configuration: \(sentence("\(error)")) \(error.advice)")
        }
        if error == .shutdown { return nil }
        _ = client.serve(until: time.bootTime.advanced(by: .seconds(1)))
      }
    }
    return nil
  }

  /// Returns the plan for the configuration `read`. If it is unusable, logs an error and returns nil.
  private mutating func plan(_ read: ComponentConfiguration, after former: Plan?) -> Plan? {
    for key in read.unknownKeys.sorted() {
      let hint = ComponentConfiguration.nearestKey(to: key).map { " Did you mean '\($0)'?" } ?? ""
      warnOnce(
        "Ignored the key '\(key)' of the component configuration, which isn't known.\(hint)")
    }
    let variables = read.variables(over: currentEnvironment)
    for variable in variables.unknownVariables { warnOnce("\(variable)") }
    var mistakes = read.mistakes
    var needsDeployment = !mistakes.isEmpty
    do {
      var configuration = try Configuration(variables)
      if mistakes.isEmpty { return try plan(&configuration, variables) }
    } catch let error as ConfigurationError {
      mistakes += error.mistakes.map { "\(read.name(of: $0.variable)) \($0.problem)" }
      needsDeployment = needsDeployment || read.isAtFault(for: error)
    } catch {
      mistakes.append("\(error)")
    }
    log.error("Rejected the configuration: \(mistakes.joined(separator: "; ")).")
    if needsDeployment, former == nil { reportErrored() }
    return nil
  }

  /// The environment, with the token that the nucleus issued last instead of the one that the process started with. The
  /// Token Exchange Service of nucleus lite accepts no other.
  private var currentEnvironment: Environment {
    let variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    guard let token = watch.issuedToken, environment.value(variable) != nil else { return environment }
    return environment.with([variable: token.revealed])
  }

  /// Reports to the nucleus that this component can't work without another deployment.
  ///
  /// The classic nucleus starts it again twice and then gives up on it. The deployment that brought the mistake has then
  /// failed, and is rolled back if it is configured to be. Without this state, the fleet would look healthy and report
  /// nothing. A mistake that may disappear on the device, such as a directory that doesn't exist yet, isn't reported.
  private func reportErrored() { watch.report(.errored) }

  private func plan(_ configuration: inout Configuration, _ variables: Environment) throws -> Plan {
    configuration.connectsAtStart = true
    guard configuration.transport == .greengrass else {
      guard configuration.commandTopics == nil else {
        // This component's waits watch the connection to the nucleus, not that to the broker.
        throw ConfigurationError(
          of: .commandTopic,
          "is set, but a Greengrass component receives commands only with the transport greengrass, not "
            + "\(configuration.transport.name)")
      }
      greengrass.receiveCommands(on: nil)
      let waiter = NucleusWaiter(client, watch, time)
      let publisher = try configuration.publisher(time: waiter, log: log)
      renewal.ownsConnection = true
      renewal.publisher = publisher
      let watch = CertificateWatch(
        publisher, topic: try configuration.topic(for: configuration.format), time: waiter, log: log)
      let tasks: [(any IdleTask)?] = [renewal, publisher.idleTask, watch]
      return Plan(
        configuration: configuration, publisher: publisher,
        time: TaskRunningWaiter(waiter, running: tasks.compactMap { $0 }), watch: watch)
    }
    configuration.publishTimeout = max(Self.leastPublishTime, configuration.effectiveInterval())
    if configuration.givenMaximumReportBytes == nil {
      configuration.limits.maximumReportBytes = IPCRequest.maximumPublishPayload(
        topic: try configuration.topic(for: configuration.format).name,
        messageLimit: IPCRequest.messageLimitOfLite)
    }
    renewal.ownsConnection = false
    // A connection of the former plan would stay open, and nothing would keep it alive.
    renewal.publisher = nil
    greengrass.receiveCommands(on: configuration.commandTopics)
    return Plan(
      configuration: configuration, publisher: greengrass,
      time: NucleusWaiter(client, watch, time, publisher: greengrass))
  }

  /// Logs a warning, once for each text.
  private mutating func warnOnce(_ text: String) {
    if loggedTexts.insert(text).inserted { log.warn(text) }
  }
}
