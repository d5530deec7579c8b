/// The two clocks, as an argument, so that a test can be in charge of them.
///
/// Code that only asks the time takes this; code that also lets time pass takes a ``Waiter``.
package protocol TimeSource {
  /// The date. For whatever the outside world dates.
  var wallTime: WallTime { get }

  /// The time since boot. For spans of time and deadlines.
  var bootTime: BootTime { get }
}
