import CCurl
import Platform

/// Ends a transfer one second after the process was asked to stop; a response in progress may arrive within that second.
/// Also ends a transfer that takes too long to resolve the name or to connect.
final class StopGate {
  private let patience: Duration
  private let isRequested: () -> Bool
  private let limits: ConnectionLimits
  private var noticed: BootTime?
  private(set) var hasStopped = false

  init(
    patience: Duration = .seconds(1), _ limits: ConnectionLimits, _ isRequested: @escaping () -> Bool
  ) {
    self.patience = patience
    self.limits = limits
    self.isRequested = isRequested
  }

  /// Resets the gate for another transfer.
  func begin() {
    noticed = nil
    hasStopped = false
  }

  /// Returns whether the transfer must end now. libcurl asks about once a second, and more often while bytes move.
  func mustStop() -> Bool {
    guard isRequested() else { return limits.mustStop() }
    let start = noticed ?? .now
    noticed = start
    hasStopped = start.duration(to: .now) >= patience
    return hasStopped || limits.mustStop()
  }
}

func watchTransfer(
  _ context: UnsafeMutableRawPointer?, _ toReceive: curl_off_t, _ received: curl_off_t, _ toSend: curl_off_t,
  _ sent: curl_off_t
) -> Int32 {
  guard let context = unsafe context else { return 0 }
  return unsafe Unmanaged<StopGate>.fromOpaque(context).takeUnretainedValue().mustStop() ? 1 : 0
}
