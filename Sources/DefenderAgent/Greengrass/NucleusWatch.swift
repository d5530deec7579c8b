import AWSClient
import GreengrassIPC
import Platform
import WireFormats

/// Tracks the configuration and token from the nucleus, and reports the component's state to it.
///
/// Nucleus lite drops the subscription to configuration updates without a word when one of its daemons restarts or a
/// deployment resets the configuration. So the configuration is read with each report as well: a call on a Unix socket.
final class NucleusWatch: IdleTask {
  private let client: IPCClient
  private let updates: IPCSubscription
  private let time: any TimeSource
  private let log: Log
  /// What the nucleus answered last, whether it can be used or not.
  private var lastRead: ComponentConfiguration?
  /// The token that the nucleus had issued when the configuration was read last.
  private var lastToken: Secret?
  /// The state that the nucleus hasn't taken yet.
  private var pendingState: IPCRequest.State?
  /// When the state is no longer retried every few seconds, but with each report only.
  private var stateUrgencyEnd = BootTime(nanosecondsSinceBoot: 0)
  /// When the state is retried; nil if it isn't.
  private(set) var nextDue: BootTime?

  static let callTimeout = Duration.seconds(10)
  /// Lite kills a component that hasn't reported `RUNNING` within 120 s, or the time-out of its recipe.
  private static let stateRetryInterval = Duration.seconds(5)
  private static let stateUrgency = Duration.seconds(600)
  /// How long a report waits at most for a nucleus that doesn't answer.
  private static let checkTimeout = Duration.seconds(5)

  init(_ client: IPCClient, time: any TimeSource, log: Log) {
    self.client = client
    self.time = time
    self.log = log
    updates = client.subscribe(.subscribeToConfigurationUpdate)
    client.idleTask = self
  }

  /// Whether the nucleus has announced another configuration.
  var hasNews: Bool { updates.hasEvents }

  /// The token that the nucleus issued in place of the one that the process was given; nil if it hasn't.
  var issuedToken: Secret? { client.issuedToken.map { Secret($0()) } }

  /// Reads the component configuration; an empty one if the nucleus has none.
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
      log.info("The component configuration changed and the nucleus didn't announce it; subscribing again.")
      client.renew(updates)
    }
    return configuration
  }

  /// Whether there is another configuration or token than was read last, or a request to stop. Asks the nucleus, if
  /// there is a connection to it.
  func hasChanged() -> Bool {
    if updates.hasEvents { return true }
    guard client.isConnected else { return false }
    tellPendingState()
    let former = lastRead
    let formerToken = lastToken
    do throws(IPCError) {
      let now = try read(until: time.bootTime.advanced(by: Self.checkTimeout))
      return now != former || lastToken != formerToken
    } catch {
      log.debug("The component configuration couldn't be read: \(error).")
      return error == .shutdown
    }
  }

  /// Reports the component's state to the nucleus: now, or when a retry succeeds.
  ///
  /// `RUNNING` ends the lifecycle `startup`, which lite allows 120 s. So a refusal is retried every five seconds for ten
  /// minutes, whatever the component waits for meanwhile, and with each report after that.
  func tell(_ state: IPCRequest.State) {
    pendingState = state
    stateUrgencyEnd = time.bootTime.advanced(by: Self.stateUrgency)
    tellPendingState()
  }

  /// Retries the state, for as long as a call may take: a call that was cut short would cost the connection.
  func run(until deadline: BootTime) { tellPendingState() }

  private func tellPendingState() {
    nextDue = nil
    guard let state = pendingState else { return }
    do throws(IPCError) {
      _ = try client.call(.updateState(state), until: time.bootTime.advanced(by: Self.checkTimeout))
      pendingState = nil
    } catch {
      log.debug("The nucleus wasn't told the state \(state.rawValue): \(error).")
      // A nucleus without UpdateState never gets it. Retry any other failure.
      if error.meansUnsupported {
        pendingState = nil
      } else if time.bootTime < stateUrgencyEnd {
        nextDue = time.bootTime.advanced(by: Self.stateRetryInterval)
      }
    }
  }
}
