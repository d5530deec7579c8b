import AWSClient
import DeviceDefender
package import GreengrassIPC
import LambdaRuntime
package import Platform
import WireFormats

/// The function as a Greengrass component: reports until the process is asked to stop.
///
/// Nothing that passes by itself, and nothing that a deployment can mend, ends the process: a nucleus gives up on a
/// component that ended three times within an hour, and only a new deployment brings it back.
package struct Component: ~Copyable {
  private let environment: Environment
  private let client: IPCClient
  private let shutdown: ShutdownSignal
  private let log: Log
  private let publisher: GreengrassPublisher
  private let updates: IPCSubscription
  private var told: Set<String> = []
  /// What the configuration in use was made of.
  private var lastRead: ComponentConfiguration?

  private static let callTimeout = Duration.seconds(10)
  /// How long a publish may take where the interval is shorter.
  private static let leastPublishTime = Duration.seconds(10)

  package init(_ environment: Environment, _ client: IPCClient, until shutdown: ShutdownSignal, log: Log) {
    self.environment = environment
    self.client = client
    self.shutdown = shutdown
    self.log = log
    publisher = GreengrassPublisher(client, time: SystemTime(shutdown: shutdown), log: log)
    updates = client.subscribe(.subscribeToConfigurationUpdate)
  }

  /// Reports, and follows the component configuration as it changes; returns when the process was asked to stop.
  package mutating func run() {
    log.info("device-defender runs as a Greengrass component.")
    guard let configuration = nextConfiguration(after: nil) else { return }
    let time = ComponentTime(client, updates, shutdown)
    var handler = PublishMetricsHandler(configuration, publisher: publisher, time: time, log: log)
    var current = configuration
    while true {
      do {
        let context = try Context(requestID: "", deadline: WallTime(nanosecondsSinceEpoch: .max))
        _ = try handler.handle(Event([]), context)
      } catch {
        // Each report that failed has had its line of log; the loop has ended for another reason.
        log.debug("\(error)")
      }
      if shutdown.isRequested { break }
      guard let next = nextConfiguration(after: current) else { break }
      current = next
      handler.resume(with: next)
    }
    log.info("Asked to stop.")
  }

  /// The configuration that the nucleus has for this component, read again until it can be used; nil where the process
  /// was asked to stop before.
  ///
  /// One that can't be used leaves the `former` one in use: with a device that reports as before, a deployment with a
  /// mistake in it does no harm.
  private mutating func nextConfiguration(after former: Configuration?) -> Configuration? {
    while !shutdown.isRequested {
      _ = updates.takeEvents()
      client.forgetRefusals()
      if let read = readConfiguration() {
        // A deployment tells of each key that it changes, and the first time already shows all of them.
        if let former, read == lastRead { return former }
        if let configuration = validated(read) {
          lastRead = read
          publisher.retries.count = read.retryCount ?? GreengrassPublisher.RetryPolicy().count
          if former != nil { log.info("The component configuration has changed.") }
          return configuration
        }
      }
      if shutdown.isRequested { break }
      if let former { return former }
      // A new deployment, or another start of the nucleus, is what can help.
      _ = client.serve(until: BootTime.now.advanced(by: .seconds(300))) { [updates] in updates.hasEvents }
    }
    return nil
  }

  /// What the nucleus answers; waits for it as long as there is no connection.
  private mutating func readConfiguration() -> ComponentConfiguration? {
    while !shutdown.isRequested {
      do throws(IPCError) {
        let limit = BootTime.now.advanced(by: Self.callTimeout)
        return ComponentConfiguration(try client.call(.getConfiguration, until: limit))
      } catch .refused(_, _, "ResourceNotFoundError", _) {
        return ComponentConfiguration(.object([]))  // There is none.
      } catch {
        if case .refused = error {
          tell("The component configuration can't be read: \(error). \(error.advice)")
        }
        if error == .shutdown { return nil }
        _ = client.serve(until: BootTime.now.advanced(by: .seconds(1)))
      }
    }
    return nil
  }

  private mutating func validated(_ read: ComponentConfiguration) -> Configuration? {
    for key in read.unknownKeys.sorted() {
      tell("The component configuration has the key '\(key)', which isn't known here and does nothing.")
    }
    var mistakes = read.mistakes
    // The first report of a component isn't spread: nothing is waited for but the nucleus.
    let variables = ["DEFENDER_TRANSPORT": publisher.transport, "DEFENDER_JITTER": "0"].merging(
      environment.all.merging(read.variables) { _, new in new }
    ) { _, given in given }
    do throws(ConfigurationError) {
      var configuration = try Configuration(Environment(variables))
      configuration.publishTimeout = max(Self.leastPublishTime, configuration.interval)
      let topic = try? configuration.topic(for: configuration.format)  // Was checked with the rest.
      if variables["DEFENDER_MAX_REPORT_BYTES"] == nil, let topic {
        configuration.limits.maximumReportBytes = IPCRequest.maximumPublishPayload(
          topic: topic.name, messageLimit: IPCRequest.messageLimitOfLite)
      }
      if mistakes.isEmpty { return configuration }
    } catch {
      mistakes += error.mistakes.map { "\(read.name(of: $0.variable)) \($0.problem)" }
    }
    log.error("The configuration can't be used: \(mistakes.joined(separator: "; ")).")
    return nil
  }

  /// Says something once.
  private mutating func tell(_ text: String) {
    if told.insert(text).inserted { log.warn(text) }
  }
}

/// A clock whose sleeps answer the nucleus, and end when the component configuration changes.
struct ComponentTime: TimeKeeper {
  private let client: IPCClient
  private let updates: IPCSubscription
  private let time: SystemTime

  init(_ client: IPCClient, _ updates: IPCSubscription, _ shutdown: ShutdownSignal) {
    self.client = client
    self.updates = updates
    time = SystemTime(shutdown: shutdown)
  }

  var wallTime: WallTime { time.wallTime }
  var bootTime: BootTime { time.bootTime }

  func sleep(until instant: BootTime) -> Wake {
    client.serve(until: instant) { updates.hasEvents } == .onTime ? .onTime : .shutdown
  }
}
