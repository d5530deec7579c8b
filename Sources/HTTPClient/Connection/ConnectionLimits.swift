import Platform

/// The time limits for resolving a name and for connecting, and the phase of the current transfer.
///
/// libcurl has one limit for both (`CURLOPT_CONNECTTIMEOUT_MS`). With a limit of 5 s, every attempt fails if the first
/// name server is silent, because glibc asks the second one only after 5 s. So each phase has its own limit here, and
/// libcurl's limit is their sum.
final class ConnectionLimits {
  enum Phase {
    /// The address of the host, or of the proxy, isn't known yet.
    case resolving
    /// The address is known; TCP, the proxy's response and TLS are in progress.
    case connecting
    /// The connection is established.
    case connected
  }

  /// The limit for resolving a name. Within it, glibc gets an answer from the third of three name servers if the first
  /// two are silent (5 s, then 3.3 s), and the release's c-ares asks each of two servers twice (9 s;
  /// lambda/packaging/resolver.h).
  static let resolving: Duration = .seconds(10)

  let connecting: Duration
  private(set) var phase = Phase.resolving
  private var start = BootTime.now
  private var startOfPhase = BootTime.now
  /// Whether the transfer had to end because its phase took too long.
  private(set) var isExceeded = false

  init(connecting: Duration) {
    self.connecting = connecting
  }

  /// The sum of both limits.
  var total: Duration { Self.resolving + connecting }

  /// Resets the limits for another transfer.
  func begin() {
    phase = .resolving
    isExceeded = false
    start = .now
    startOfPhase = start
  }

  /// Notes that an address is known, because libcurl opens a socket for it.
  func noteAddress() {
    guard phase == .resolving else { return }
    phase = .connecting
    startOfPhase = .now
  }

  func noteConnection() { phase = .connected }

  /// Returns whether the transfer must end now; libcurl asks at least once a second.
  func mustStop() -> Bool {
    guard phase != .connected else { return false }
    isExceeded = timeOfPhase >= (phase == .resolving ? Self.resolving : connecting)
    return isExceeded
  }

  /// The duration of the current phase so far.
  var timeOfPhase: Duration { startOfPhase.duration(to: .now) }
}
