import AWSClient
import GreengrassIPC
import Platform
import WireFormats

/// Tracks the configuration and token from the nucleus, and reports the component's state to it.
///
/// Nucleus lite silently drops the subscription to configuration updates when one of its daemons restarts or a deployment
/// resets the configuration. So the component also reads the configuration with each report: one call on a Unix socket.
final class NucleusWatch: IdleTask {
  private let client: IPCClient
  private let updates: IPCSubscription
  private let time: any TimeSource
  private let log: Log
  /// The configuration that the nucleus returned last, usable or not.
  private var lastRead: ComponentConfiguration?
  /// The token that the nucleus had issued by the last read of the configuration.
  private var lastToken: Secret?
  /// The state that the nucleus hasn't acknowledged yet; nil if there is none.
  private var pendingState: IPCRequest.State?
  /// The end of the retries every few seconds. After it, the state is retried only with each report.
  private var stateUrgencyEnd = BootTime(nanosecondsSinceBoot: 0)
  /// When the state is retried next; nil if no retry is scheduled.
  private(set) var nextDue: BootTime?

  static let callTimeout = Duration.seconds(10)
  /// How often the state is retried. Lite kills a component that hasn't reported `RUNNING` within 120 s, or within the
  /// timeout of its recipe.
  private static let stateRetryInterval = Duration.seconds(5)
  private static let stateUrgency = Duration.seconds(600)
  /// The longest time that a report waits for a nucleus that doesn't answer.
  private static let checkTimeout = Duration.seconds(5)

  init(_ client: IPCClient, time: any TimeSource, log: Log) {
    self.client = client
    self.time = time
    self.log = log
    updates = client.subscribe(.subscribeToConfigurationUpdate)
    client.idleTask = self
  }

  /// Whether the nucleus has announced a configuration change that hasn't been read yet.
  var hasNews: Bool { updates.hasEvents }

  /// The token that the nucleus issued to replace the one that the process started with; nil if it issued none.
  var issuedToken: Secret? { client.issuedToken.map { Secret($0()) } }

  /// Reads the component configuration. Returns an empty one if the nucleus has none.
  func read(until deadline: BootTime) throws(IPCError) -> ComponentConfiguration {
    let wasAnnounced = !updates.takeEvents().isEmpty
    let answer: JSONValue
    do throws(IPCError) {
      answer = try client.call(.getConfiguration, until: deadline)
    } catch .refused(_, _, "ResourceNotFoundError", _) {
      answer = .object([])
    }
    let configuration = ComponentConfiguration(answer)
    let isSilentChange = lastRead != nil && configuration != lastRead && !wasAnnounced
    lastRead = configuration
    lastToken = issuedToken
    if isSilentChange, !updates.hasEvents {
      log.info("The component configuration changed, but the nucleus didn't announce it. Subscribing again.")
      client.renew(updates)
    }
    return configuration
  }

  /// Returns whether the configuration or the token has changed since the last read, or a stop was requested.
  ///
  /// Reads the configuration from the nucleus if there is a connection to it.
  func hasChanged() -> Bool {
    if updates.hasEvents { return true }
    guard client.isConnected else { return false }
    reportPendingState()
    let former = lastRead
    let formerToken = lastToken
    do throws(IPCError) {
      let now = try read(until: time.bootTime.advanced(by: Self.checkTimeout))
      return now != former || lastToken != formerToken
    } catch {
      log.debug("Can't read the component configuration: \(error).")
      return error == .shutdown
    }
  }

  /// Reports the component's state to the nucleus, and retries if that fails.
  ///
  /// `RUNNING` ends the lifecycle `startup`, for which lite allows 120 s. So a failure is retried every five seconds for ten
  /// minutes, even while the component waits for something else, and after that with each report.
  func report(_ state: IPCRequest.State) {
    pendingState = state
    stateUrgencyEnd = time.bootTime.advanced(by: Self.stateUrgency)
    reportPendingState()
  }

  /// Retries the state. The call has its own time limit, not `deadline`: cutting a call short would cost the connection.
  func run(until deadline: BootTime) { reportPendingState() }

  private func reportPendingState() {
    nextDue = nil
    guard let state = pendingState else { return }
    do throws(IPCError) {
      _ = try client.call(.updateState(state), until: time.bootTime.advanced(by: Self.checkTimeout))
      pendingState = nil
    } catch {
      log.debug("Can't report the state \(state.rawValue) to the nucleus: \(error).")
      // If the nucleus doesn't support UpdateState, retries can't help. Any other failure is retried.
      if error.meansUnsupported {
        pendingState = nil
      } else if time.bootTime < stateUrgencyEnd {
        nextDue = time.bootTime.advanced(by: Self.stateRetryInterval)
      }
    }
  }
}
