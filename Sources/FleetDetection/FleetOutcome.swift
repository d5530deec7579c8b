/// What became of the records of a batch.
package struct BatchOutcome: Equatable, Sendable {
  /// Why each failed record failed, by its position. The queue must deliver these again.
  package internal(set) var failures: [Int: Failure] = [:]
  package internal(set) var counts = FleetCounts()
  /// The positions of late records, and of those to whose thing no profile applies.
  var late: Set<Int> = []
  var unmatched: Set<Int> = []

  /// Counts each of `total` records once.
  mutating func countReports(of total: Int) {
    counts.malformed = failures.values.count { if case .malformed = $0 { true } else { false } }
    counts.late = late.subtracting(failures.keys).count
    counts.unmatched = unmatched.count
    counts.evaluated = total - failures.count - counts.late - counts.unmatched
  }

  package enum Failure: Equatable, Sendable {
    /// The record itself can't be evaluated; another delivery fails as well.
    case malformed(String)
    /// The store failed, or no time was left.
    case unavailable(String)

    package var reason: String {
      switch self {
      case .malformed(let reason), .unavailable(let reason): reason
      }
    }
  }
}

/// The numbers that become CloudWatch metrics.
package struct FleetCounts: Equatable, Sendable {
  /// The reports that all profiles that apply evaluated: those that aren't late, malformed, unmatched or failed.
  package var evaluated = 0
  /// The reports that weren't newer than the last committed one of their thing.
  package var late = 0
  package var malformed = 0
  /// The reports of things to which no profile applies.
  package var unmatched = 0
  /// The writes that failed because another process had changed the item.
  package var conflicts = 0
  /// The events that couldn't be delivered; they stay in the outbox.
  package var undelivered = 0
  /// The events by profile, behavior and type.
  package var events: [EventKind: Int] = [:]

  package init() {}

  package struct EventKind: Hashable, Sendable {
    package let profile: String
    package let behavior: String
    package let type: String
  }
}
