import Platform

/// What has to happen to a report before it moves the baseline.
package enum Acknowledgement: String, CaseIterable, Sendable {
  /// The broker or the service acknowledged the report.
  case publish
  /// Device Defender accepted the report. The next report repeats the traffic of an unanswered one.
  case accepted
}

extension ConfigurationReader {
  /// Reads what moves the baseline, and how long to wait for Device Defender's answer.
  mutating func readAcknowledgement(into configuration: inout Configuration) {
    if let acknowledgement = choice(.acknowledge, byRawValue: Acknowledgement.self) {
      configuration.acknowledgement = acknowledgement
    }
    if let time = confirmationTime() { configuration.confirmationTime = time }
  }

  /// Notes a mistake if the transport can't receive the configured acknowledgement.
  mutating func checkAcknowledgement(_ configuration: Configuration) {
    guard configuration.acknowledgement == .accepted, !configuration.transport.supportsReservedTopics else {
      return
    }
    let others = Transport.all.filter(\.supportsReservedTopics).map(\.name).joined(separator: " and ")
    note(
      .acknowledge,
      "is 'accepted', but Device Defender answers only over \(others); \(Variable.transport) is "
        + "'\(configuration.transport.name)'"
    )
  }

  private mutating func confirmationTime() -> Duration? {
    let variable = Variable.confirmationSeconds
    guard let text = environment.value(variable) else { return nil }
    guard let seconds = Double(text), (0...300).contains(seconds) else {
      note(variable, "is '\(text)'; expected a number of seconds from 0 to 300")
      return nil
    }
    return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
  }
}
