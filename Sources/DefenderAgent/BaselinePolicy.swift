import AWSClient
import DeviceDefender

/// Decides whether the baseline moves when a report was published.
///
/// A publish that succeeded moves it, unless the configuration waits for Device Defender, or the transport's success
/// proves nothing. In the second case Device Defender's answers count as soon as it is known that it answers at all: a
/// core whose policy doesn't let answers through would otherwise repeat its traffic for ever.
struct BaselinePolicy {
  /// The thing whose reports Device Defender has answered at least once; nil if it never has.
  var answeredThing: String?
  /// The last report that the baseline doesn't include because Device Defender hasn't answered, and the baseline with it.
  private(set) var unanswered: (id: UInt64, baseline: Baseline)?
  /// The number of consecutive unanswered reports; each repeats the traffic of the one before.
  private var repetitions = 0

  init(answeredThing: String? = nil) {
    self.answeredThing = answeredThing
  }

  /// How many reports in a row may be unanswered before the operator is told that they repeat themselves.
  private static let toleratedRepetitions = 3

  /// What `confirmation` means for the baseline of `thing`.
  struct Context {
    let acknowledgement: Acknowledgement
    let provesDelivery: Bool
    let thing: String?
  }

  /// Whether the baseline moves on for a report that was published and got `confirmation`; nil if nobody answers reports
  /// on its topic.
  mutating func movesBaseline(_ confirmation: ReportConfirmation?, _ context: Context) -> Bool {
    switch confirmation {
    case nil: return true
    case .accepted:
      noteAnswer(about: context.thing)
      return true
    case .rejected:
      noteAnswer(about: context.thing)
      return false
    case .unanswered, .stopped, .unavailable: return !waitsForAnswers(context)
    }
  }

  /// Remembers a report whose publish the baseline doesn't include. Returns whether the operator should be warned that
  /// reports repeat themselves: once, until there is an answer.
  mutating func hold(_ id: UInt64, _ baseline: Baseline) -> Bool {
    unanswered = (id, baseline)
    repetitions += 1
    return repetitions == Self.toleratedRepetitions
  }

  /// Forgets the unanswered report: a later one covers it, or its counters are of another place.
  mutating func forgetUnanswered() { unanswered = nil }

  private func waitsForAnswers(_ context: Context) -> Bool {
    if context.acknowledgement == .accepted { return true }
    guard let answeredThing else { return false }
    return !context.provesDelivery && answeredThing == context.thing
  }

  private mutating func noteAnswer(about thing: String?) {
    answeredThing = thing
    repetitions = 0
    unanswered = nil
  }
}
