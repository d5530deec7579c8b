import AWSClient
import DeviceDefender
package import GreengrassIPC
package import Platform
import WireFormats

/// The function as a Greengrass component: reports until the process is asked to stop.
///
/// Nothing that passes by itself, and nothing that a deployment can mend, ends the process: a nucleus gives up on a
/// component that ended three times within an hour, and only a new deployment brings it back.
package struct Component: ~Copyable {
  private let environment: Environment
  private let client: IPCClient
  private let time: any Waiter
  private let log: Log
  private let greengrass: GreengrassPublisher
  private let watch: NucleusWatch
  private let renewal: ConnectionRenewal
  private var told: Set<String> = []
  /// What the plan in use was made of.
  private var planned: (configuration: ComponentConfiguration, token: Secret?)?

  /// How long a publish may take where the interval is shorter.
  private static let leastPublishTime = Duration.seconds(10)

  /// A component that runs until `time`'s shutdown signal asks it to stop.
  package init(_ environment: Environment, _ client: IPCClient, time: any Waiter, log: Log) {
    self.environment = environment
    self.client = client
    self.time = time
    self.log = log
    greengrass = GreengrassPublisher(client, time: time, log: log)
    watch = NucleusWatch(client, time: time, log: log)
    renewal = ConnectionRenewal(time.shutdownSignal, log: log)
  }

  private var isAskedToStop: Bool { time.shutdownSignal?.isRequested == true }

  /// What the function runs with: a configuration, and what publishes and waits as it says.
  private struct Plan {
    let configuration: Configuration
    let publisher: any Publisher
    let time: any Waiter
  }

  /// Reports, and follows the component configuration as it changes; returns when the process was asked to stop.
  package mutating func run() {
    log.info("device-defender runs as a Greengrass component.")
    guard var plan = nextPlan(after: nil) else { return }
    // A recipe with the lifecycle `startup` waits for this, and the first report may be an interval away.
    watch.tell(.running)
    var loop = ReportLoop(
      plan.configuration, publisher: plan.publisher, time: plan.time, log: log)
    while true {
      do {
        let outcome = try loop.run(ReportPlan(), until: .distantFuture)
        log.debug("The report loop ended (\(outcome.ended.rawValue)): \(sentence("\(outcome)"))")
      } catch {
        // The configuration has checked the topic.
        log.error("The report loop can't run: \(sentence("\(error)"))")
      }
      guard !isAskedToStop, let next = nextPlan(after: plan) else { break }
      plan = next
      loop.resume(with: plan.configuration, publisher: plan.publisher, time: plan.time)
    }
    log.info("Asked to stop.")
  }

  /// What to run with by the configuration that the nucleus has for this component, read again until it can be used;
  /// nil where the process was asked to stop before.
  ///
  /// One that can't be used leaves the `former` one in use: with a device that reports as before, a deployment with a
  /// mistake in it does no harm.
  private mutating func nextPlan(after former: Plan?) -> Plan? {
    while !isAskedToStop {
      client.forgetRefusals()
      if let read = readConfiguration() {
        let token = watch.issuedToken
        // A deployment tells of each key that it changes, and the first time already shows all of them.
        if let former, let planned, planned == (read, token) { return former }
        if let plan = plan(read, after: former) {
          let isOther = planned.map { $0.configuration != read } ?? false
          planned = (read, token)
          greengrass.retries.count = read.retryCount ?? GreengrassPublisher.RetryPolicy().count
          if isOther { log.info("The component configuration has changed.") }
          return plan
        }
      }
      if isAskedToStop { break }
      if let former { return former }
      // A new deployment, or another start of the nucleus, is what can help.
      _ = client.serve(until: time.bootTime.advanced(by: .seconds(300))) { [watch] in watch.hasNews }
    }
    return nil
  }

  /// What the nucleus answers; waits for it as long as there is no connection.
  private mutating func readConfiguration() -> ComponentConfiguration? {
    while !isAskedToStop {
      do throws(IPCError) {
        return try watch.read(until: time.bootTime.advanced(by: NucleusWatch.callTimeout))
      } catch {
        if case .refused = error {
          tell("The component configuration can't be read: \(sentence("\(error)")) \(error.advice)")
        }
        if error == .shutdown { return nil }
        _ = client.serve(until: time.bootTime.advanced(by: .seconds(1)))
      }
    }
    return nil
  }

  /// What to run with by `read`; nil, and an error in the log, where that can't be.
  private mutating func plan(_ read: ComponentConfiguration, after former: Plan?) -> Plan? {
    for key in read.unknownKeys.sorted() {
      let hint = ComponentConfiguration.nearestKey(to: key).map { " Did you mean '\($0)'?" } ?? ""
      tell(
        "The component configuration has the key '\(key)', which isn't known here and does nothing.\(hint)")
    }
    let variables = read.variables(over: currentEnvironment)
    for variable in variables.unknownVariables { tell("\(variable)") }
    var mistakes = read.mistakes
    var takesDeployment = !mistakes.isEmpty
    do {
      var configuration = try Configuration(variables)
      if mistakes.isEmpty { return try plan(&configuration, variables) }
    } catch let error as ConfigurationError {
      mistakes += error.mistakes.map { "\(read.name(of: $0.variable)) \($0.problem)" }
      takesDeployment = takesDeployment || read.isAtFault(for: error)
    } catch {
      mistakes.append("\(error)")
    }
    log.error("The configuration can't be used: \(mistakes.joined(separator: "; ")).")
    if takesDeployment, former == nil { tellErrored() }
    return nil
  }

  /// The environment, with the token that the nucleus issued last in place of the one that the process was given: the
  /// Token Exchange Service of nucleus lite knows no other.
  private var currentEnvironment: Environment {
    let variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    guard let token = watch.issuedToken, environment.value(variable) != nil else { return environment }
    return environment.with([variable: token.revealed])
  }

  /// Tells the nucleus that this component can't do anything until there is another deployment.
  ///
  /// The classic nucleus starts it again twice and then gives up on it: the deployment that brought the mistake has failed and
  /// is rolled back, where it says so, instead of leaving a fleet that looks well and reports nothing. A mistake that
  /// the device may mend, such as a directory that isn't there yet, isn't told.
  private func tellErrored() { watch.tell(.errored) }

  private func plan(_ configuration: inout Configuration, _ variables: Environment) throws -> Plan {
    let waiter = NucleusWaiter(client, watch, time)
    guard configuration.transport == .greengrass else {
      let publisher = try configuration.publisher(time: waiter, log: log)
      renewal.ownsConnection = true
      renewal.publisher = publisher
      let tasks: [(any IdleTask)?] = [renewal, publisher.idleTask]
      return Plan(
        configuration: configuration, publisher: publisher,
        time: TaskRunningWaiter(waiter, running: tasks.compactMap { $0 }))
    }
    configuration.publishTimeout = max(Self.leastPublishTime, configuration.interval)
    if configuration.givenMaximumReportBytes == nil {
      configuration.limits.maximumReportBytes = IPCRequest.maximumPublishPayload(
        topic: try configuration.topic(for: configuration.format).name,
        messageLimit: IPCRequest.messageLimitOfLite)
    }
    renewal.ownsConnection = false
    // A connection of the former plan would stay open, and nothing would keep it alive.
    renewal.publisher = nil
    return Plan(configuration: configuration, publisher: greengrass, time: waiter)
  }

  /// Says something once.
  private mutating func tell(_ text: String) {
    if told.insert(text).inserted { log.warn(text) }
  }
}
