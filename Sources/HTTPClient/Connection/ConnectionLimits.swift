import Platform

/// The time that resolving a name and connecting may each take, and how far the current transfer is.
///
/// libcurl has one limit for both (`CURLOPT_CONNECTTIMEOUT_MS`). glibc asks the second name server after 5 s, so if the
/// first one was silent, a limit of 5 s ended every attempt too early. Here each phase has its own limit, and libcurl's
/// limit is their sum.
final class ConnectionLimits {
  enum Phase {
    /// Waits for the address of the host, or of the proxy.
    case resolving
    /// Has an address; TCP, the proxy's answer and TLS are under way.
    case connecting
    /// The connection is established.
    case connected
  }

  /// What glibc needs to get an answer from the third of three name servers if the first two are silent (5 s, then
  /// 3.3 s), and the release's c-ares to ask each of two servers twice (9 s; lambda/packaging/resolver.h).
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

  /// Begins with another transfer.
  func begin() {
    phase = .resolving
    isExceeded = false
    start = .now
    startOfPhase = start
  }

  /// Notes that an address is known, since libcurl opens a socket for it.
  func noteAddress() {
    guard phase == .resolving else { return }
    phase = .connecting
    startOfPhase = .now
  }

  func noteConnection() { phase = .connected }

  /// Whether the transfer has to end now; libcurl asks at least once a second.
  func mustStop() -> Bool {
    guard phase != .connected else { return false }
    isExceeded = timeOfPhase >= (phase == .resolving ? Self.resolving : connecting)
    return isExceeded
  }

  /// How long the current phase has taken so far.
  var timeOfPhase: Duration { startOfPhase.duration(to: .now) }
}
