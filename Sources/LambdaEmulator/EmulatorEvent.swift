/// Something that the person at the emulator may want to know.
package enum EmulatorEvent: Sendable {
  /// A line that Lambda writes to a function's log: START, END, REPORT.
  case platform(String)
  /// A line that the function wrote, to standard output or standard error.
  case output(String)
  /// What the emulator itself did.
  case notice(String)
  case publish(ReceivedPublish)
}
