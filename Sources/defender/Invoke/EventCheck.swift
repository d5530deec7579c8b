import WireFormats

extension InvokeCommand {
  /// Throws if `event` isn't JSON: Lambda's Invoke API rejects it with `InvalidRequestContentException`, so no function receives it.
  ///
  /// `source` begins the message: the option or the file with the event. An empty event is allowed, because Lambda accepts an invocation
  /// without a payload.
  static func check(_ event: [UInt8], source: String) throws(CommandFailure) {
    if event.isEmpty { return }
    do throws(JSONError) {
      _ = try JSONValue(parsing: event)
    } catch {
      // Lambda accepts these, and so may the function. What follows them isn't checked.
      if error.isStricterThanRFC { return }
      let before = event.prefix(error.offset)
      let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      let line = before.count { $0 == UInt8(ascii: "\n") } + 1
      let column = String(decoding: before[lineStart...], as: UTF8.self).count + 1
      throw CommandFailure(
        "\(source) isn't JSON: \(error.reason) at line \(line), column \(column). Lambda accepts only JSON; "
          + #"a text needs quotation marks, such as --event '"hello"'."#,
        status: .notRun)
    }
  }
}
