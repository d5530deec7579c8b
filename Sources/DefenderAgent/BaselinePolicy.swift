import AWSClient
import DeviceDefender

/// Decides whether a published report moves the baseline.
///
/// A report that Device Defender accepted moves it, and a rejected one doesn't. An unanswered one moves it unless the
/// configuration requires acceptance, or the transport's success proves nothing. In the second case, answers count only
/// once Device Defender has answered a report of this thing: a Greengrass core whose IoT policy blocks the answers would
/// otherwise repeat its traffic for ever.
struct BaselinePolicy {
  /// The thing whose reports Device Defender has answered at least once; nil if it never has.
  var answeredThing: String?
  /// The last report that the baseline doesn't include because Device Defender hasn't answered it: its id, the baseline that
  /// includes it, and whether it was spooled.
  private(set) var unanswered: (id: UInt64, baseline: Baseline, isSpooled: Bool)?
  /// The number of consecutive unanswered reports; each one repeats the traffic of those before it.
  private var repetitions = 0

  init(answeredThing: String? = nil) {
    self.answeredThing = answeredThing
  }

  /// The number of consecutive unanswered reports at which the log warns that reports repeat their traffic.
  private static let toleratedRepetitions = 3

  /// The properties of a published report that decide what its confirmation means for the baseline.
  struct Context {
    let acknowledgement: Acknowledgement
    let provesDelivery: Bool
    let thing: String?
  }

  /// Returns whether a published report with this confirmation moves the baseline.
  ///
  /// `confirmation` is nil if nobody answers reports on the report's topic.
  mutating func movesBaseline(_ confirmation: ReportConfirmation?, _ context: Context) -> Bool {
    switch confirmation {
    case nil: return true
    case .accepted:
      noteAnswer(about: context.thing)
      return true
    case .rejected:
      noteAnswer(about: context.thing)
      return false
    case .unanswered, .spooled, .stopped, .unavailable: return !waitsForAnswers(context)
    }
  }

  /// Remembers a published report that the baseline doesn't include.
  ///
  /// Returns true if the log should warn now that reports repeat their traffic: once, until Device Defender answers.
  mutating func hold(_ id: UInt64, _ baseline: Baseline, isSpooled: Bool = false) -> Bool {
    unanswered = (id, baseline, isSpooled)
    // The log already says that there is no connection.
    guard !isSpooled else { return false }
    repetitions += 1
    return repetitions == Self.toleratedRepetitions
  }

  /// Forgets the unanswered report, so that a late answer to it no longer moves the baseline.
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
