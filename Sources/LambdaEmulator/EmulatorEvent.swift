/// An event that the emulator reports to its user.
package enum EmulatorEvent: Sendable {
  /// A line that Lambda would write to the function's log, such as START, END or REPORT.
  case platform(String)
  /// A line that the function wrote to standard output or standard error.
  case output(String)
  /// A message about the emulator itself.
  case notice(String)
  /// A publish that reached the data plane.
  case publish(ReceivedPublish)
  /// A violation event of `detect_handler`, as a line of JSON.
  case violation([UInt8])
}
