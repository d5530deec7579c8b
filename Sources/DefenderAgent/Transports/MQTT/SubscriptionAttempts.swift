import MQTT
import Platform

/// Decides when to subscribe again after a failure, so that a subscription that the broker doesn't allow never keeps
/// reports from being published.
struct SubscriptionAttempts {
  /// How long to continue without the subscription. The policy may have been corrected since.
  static let retryInterval = Duration.seconds(3_600)

  /// How many connections in a row ended while subscribing. A policy without `iot:Subscribe` causes that over MQTT 3.1.1.
  private var losses = 0
  /// When to try again; nil if subscribing needn't wait.
  private var notBefore: BootTime?
  /// Why there is no subscription; nil once ``takeProblem()`` has returned it.
  private var problem: String?

  func isDue(at now: BootTime) -> Bool { notBefore.map { now >= $0 } ?? true }

  mutating func succeeded() { self = SubscriptionAttempts() }

  /// Records that the last connection ended for another reason than the subscription.
  mutating func forgetLosses() { losses = 0 }

  /// Continues without the subscription for an hour.
  mutating func putOff(_ problem: String, at now: BootTime) {
    losses = 0
    notBefore = now.advanced(by: Self.retryInterval)
    self.problem = problem
  }

  /// Records `error`, which ended the connection while subscribing. `hasHeld` says whether the server has sent something on
  /// that connection.
  mutating func lost(_ error: MQTTError, hasHeld: Bool, at now: BootTime) {
    switch error {
    case .closedByServer, .connectionLost: losses += 1
    case .disconnected(let reason) where !reason.code.isOfServer: losses += 1
    default: break  // A slow network or a busy server says nothing about a policy.
    }
    // Unless the server has sent something on this connection, it may be closing every connection, whatever is sent.
    // Three losses in a row are required, because a network that loses one packet in twenty causes two within hours.
    if losses >= 3, hasHeld {
      putOff("the broker ended three connections in a row after a request to subscribe: \(error)", at: now)
    }
  }

  /// Returns why there is no subscription, once.
  mutating func takeProblem() -> String? {
    defer { problem = nil }
    return problem
  }
}
