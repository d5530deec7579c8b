/// The two clocks, passed as an argument so that tests can control them.
///
/// Code that only reads the time takes a `TimeSource`; code that also waits takes a ``Waiter``.
package protocol TimeSource {
  /// The date and time. Use it for timestamps that leave this process.
  var wallTime: WallTime { get }

  /// The time since boot. Use it for durations and deadlines.
  var bootTime: BootTime { get }
}
