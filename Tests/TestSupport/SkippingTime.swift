package import Platform
import Synchronization

/// The system's clocks, which skip ahead instead of sleeping.
package final class SkippingTime: Waiter, Sendable {
  private let skipped = Mutex(Duration.zero)
  private let onSleep = Mutex<(@Sendable () -> Void)?>(nil)

  package var shutdownSignal: ShutdownSignal? { nil }

  package init() {}

  /// Calls `body` during each sleep from now on.
  package func whileAsleep(_ body: @escaping @Sendable () -> Void) { onSleep.withLock { $0 = body } }

  package var wallTime: WallTime { .now.advanced(by: skipped.withLock { $0 }) }
  package var bootTime: BootTime { .now.advanced(by: skipped.withLock { $0 }) }

  package func wait(until instant: BootTime) -> Wake {
    let gap = bootTime.duration(to: instant)
    guard gap > .zero else { return .onTime }
    skipped.withLock { $0 += gap }
    onSleep.withLock { $0 }?()
    return .onTime
  }
}
