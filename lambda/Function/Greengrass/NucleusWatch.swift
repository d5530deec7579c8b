import AWSClient
import GreengrassIPC
import Platform
import WireFormats

/// What a component keeps up with its nucleus: the configuration, its token, and the state that the nucleus is told.
///
/// Nucleus lite drops the subscription to configuration updates without a word when one of its daemons restarts or a
/// deployment resets the configuration. So the configuration is read with each report as well: a call on a Unix socket.
final class NucleusWatch {
  private let client: IPCClient
  private let updates: IPCSubscription
  private let log: Log
  /// What the nucleus answered last, whether it can be used or not.
  private var lastRead: ComponentConfiguration?
  /// The token that the nucleus had issued when the configuration was read last.
  private var lastToken: Secret?
  /// The state that the nucleus still has to be told.
  private var pendingState: IPCRequest.State?

  static let callTimeout = Duration.seconds(10)
  /// How long a report waits at most for a nucleus that doesn't answer.
  private static let checkTimeout = Duration.seconds(5)

  init(_ client: IPCClient, log: Log) {
    self.client = client
    self.log = log
    updates = client.subscribe(.subscribeToConfigurationUpdate)
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
      let now = try read(until: BootTime.now.advanced(by: Self.checkTimeout))
      return now != former || lastToken != formerToken
    } catch {
      log.debug("The component configuration couldn't be read: \(error).")
      return error == .shutdown
    }
  }

  /// Tells the nucleus how the component does, now or with one of the next reports.
  ///
  /// `RUNNING` ends the lifecycle `startup`, which lite allows 120 s.
  func tell(_ state: IPCRequest.State) {
    pendingState = state
    tellPendingState()
  }

  private func tellPendingState() {
    guard let state = pendingState else { return }
    do throws(IPCError) {
      _ = try client.call(.updateState(state), until: BootTime.now.advanced(by: Self.checkTimeout))
      pendingState = nil
    } catch {
      log.debug("The nucleus wasn't told the state \(state.rawValue): \(error).")
      // A nucleus that knows no states won't learn them; everything else may pass.
      if case .refused = error, error.refusalName != "ServiceError" { pendingState = nil }
    }
  }
}
