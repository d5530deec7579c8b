import Platform

/// The REPORT line at the end of an invocation's log.
struct ReportLine {
  let requestID: String
  let duration: Duration
  let billed: Duration
  let initDuration: Duration?
  let memoryMegabytes: Int
  let peakMemory: Int?
  let outcome: Outcome

  /// The line in Lambda's format, separated by tabs: `REPORT RequestId: … Duration: 1.23 ms Billed Duration: 2 ms …`.
  var text: String {
    var fields = [
      "REPORT RequestId: \(requestID)",
      "Duration: \(milliseconds(duration)) ms",
      "Billed Duration: \(Int(billed.inSeconds * 1_000) + 1) ms",
      "Memory Size: \(memoryMegabytes) MB",
    ]
    if let peakMemory { fields.append("Max Memory Used: \((peakMemory + (1 << 20) - 1) >> 20) MB") }
    if let initDuration { fields.append("Init Duration: \(milliseconds(initDuration)) ms") }
    if let status { fields.append("Status: \(status)") }
    if let errorType { fields.append("Error Type: \(errorType)") }
    return fields.joined(separator: "\t")
  }

  private var status: String? {
    switch outcome {
    case .response, .streamed(errorType: nil): nil
    case .timedOut: "timeout"
    default: "error"
    }
  }

  private var errorType: String? {
    switch outcome {
    case .response, .timedOut, .stopped: nil
    case .streamed(let errorType): errorType
    case .streamTooLong, .streamCutShort: Outcome.truncated
    case .error(_, let type, _): type
    case .initError(_, let type): type
    case .notStarted: "Runtime.InvalidEntrypoint"
    case .exited: "Runtime.ExitError"
    case .responseTooLarge: "Function.ResponseSizeTooLarge"
    case .invalidResponseMode: "Runtime.InvalidResponseModeHeader"
    }
  }

  private func milliseconds(_ duration: Duration) -> String { twoDecimals(duration.inSeconds * 1_000) }
}

/// Returns `value` with two decimals, as Lambda formats durations. A negative value becomes 0.00.
func twoDecimals(_ value: Double) -> String {
  let hundredths = Int((max(0, value) * 100).rounded())
  let rest = hundredths % 100
  return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
