import WireFormats

/// `confidenceLevel` of `mlDetectionConfig`: how unusual a datapoint must be. HIGH means fewer alarms.
enum Confidence: String, CaseIterable, Sendable {
  case low = "LOW"
  case medium = "MEDIUM"
  case high = "HIGH"

  /// How far an excess must be beyond the usual one to raise an alarm, in units of ``LogarithmicScale``.
  var margin: Int {
    switch self {
    case .low: 88
    case .medium: 176
    case .high: 352
    }
  }
}

/// What is usual for one metric of one thing, learned from its datapoints. docs/detect.md ("Learned baselines") defines the model
/// exactly.
///
/// For each hour of the day, the baseline has the mean of the values at that hour, on a ``LogarithmicScale``. The excess of a
/// datapoint is its distance beyond the means around its hour. A datapoint is unusual if its excess exceeds the largest recent
/// excess by more than a margin, or if the smallest excess of three datapoints in a row exceeds the largest recent one of three in a
/// row by more than a margin. Means and excesses forget old values exponentially. An unusual datapoint doesn't change the means, and
/// raises the largest excess only a little.
///
/// The state is 64 bytes of integers, so the results don't depend on the architecture, and saving loses nothing.
struct LearnedBaseline: Sendable {
  /// The number of hours with datapoints before the first alarm: two weeks.
  static let learningHours = 336
  /// The number of hours with datapoints before excesses are learned, so that every hour of the day has a mean.
  private static let hoursBeforeExcesses = 24
  private static let noMean = Int16.min
  private static let noHour = UInt8.max
  /// The hour is counted modulo ten days, which fits in a byte.
  private static let hourCycle: UInt64 = 240
  /// The largest number of hours by which a datapoint may be older than the current hour. Such a datapoint belongs to the current hour.
  private static let longestDelay: UInt64 = 24

  /// The mean at each hour of the day, or `noMean`.
  private var means = InlineArray<24, Int16>(repeating: LearnedBaseline.noMean)
  /// The sum and the number of the usual datapoints of the current hour.
  private var sum: Int32 = 0
  private var count: UInt8 = 0
  private var hour = LearnedBaseline.noHour
  /// The number of hours that had usual datapoints.
  private var hours: UInt16 = 0
  /// The largest recent excess of one datapoint, and the largest recent excess that three in a row had.
  private var single: Int16 = 0
  private var sustained: Int16 = 0
  /// The excesses of the last datapoint, and of the one before it.
  private var last = Int16.min
  private var beforeLast = Int16.min

  /// Whether the baseline has seen too few datapoints to raise an alarm.
  var isLearning: Bool { hours < Self.learningHours }

  /// Learns from a datapoint at `position`, and returns whether it is unusual. `time` is in milliseconds since the epoch.
  mutating func isUnusual(
    _ position: Int, at time: UInt64, margin: Int, hasLowerLimit: Bool
  ) -> Bool {
    let now = UInt8(truncatingIfNeeded: time / 3_600_000 % Self.hourCycle)
    if isLater(now) { endHour(next: now) }
    guard let usual = usual() else {
      add(position)
      return false
    }
    let excess = max(position - usual.upperBound, hasLowerLimit ? usual.lowerBound - position : .min)
    let ofThree = min(excess, Int(last), Int(beforeLast))
    beforeLast = last
    last = Int16(clamping: excess)
    if !isLearning, raise(excess, ofThree, margin) { return true }
    add(position)
    if hours >= Self.hoursBeforeExcesses {
      single = max(single, Int16(clamping: excess))
      sustained = max(sustained, Int16(clamping: ofThree))
    }
    return false
  }

  /// Whether hour `next` ends the current one. An hour that is a little earlier doesn't: otherwise, times that alternate between two
  /// hours would count as new hours, and end the learning early.
  private func isLater(_ next: UInt8) -> Bool {
    guard hour != Self.noHour else { return true }
    let distance = (UInt64(next) + Self.hourCycle - UInt64(hour)) % Self.hourCycle
    return distance > 0 && distance < Self.hourCycle - Self.longestDelay
  }

  /// Raises `single`, `sustained` or both if the datapoint exceeds their limits, by 1 and 1/64 of the amount beyond the limit.
  /// Returns whether it exceeds one.
  private mutating func raise(_ excess: Int, _ ofThree: Int, _ margin: Int) -> Bool {
    let usual = Int(single)
    let usualOfThree = max(Int(sustained), usual * 2 / 5)
    let beyond = excess - (usual + usual / 8 + margin)
    let beyondOfThree = ofThree - (usualOfThree + usualOfThree / 4 + margin)
    if beyond > 0 { single = Int16(clamping: usual + 1 + beyond / 64) }
    if beyondOfThree > 0 { sustained = Int16(clamping: usualOfThree + 1 + beyondOfThree / 64) }
    return beyond > 0 || beyondOfThree > 0
  }

  /// Returns the lowest and the highest of three means: of this hour of the day, the hour before and the hour after. Nil if none
  /// exists.
  private func usual() -> ClosedRange<Int>? {
    var range: ClosedRange<Int>?
    for distance in [23, 0, 1] {
      let mean = means[(Int(hour) + distance) % 24]
      guard mean != Self.noMean else { continue }
      let (lowest, highest) = (range?.lowerBound ?? Int(mean), range?.upperBound ?? Int(mean))
      range = min(lowest, Int(mean))...max(highest, Int(mean))
    }
    return range
  }

  private mutating func add(_ position: Int) {
    guard count < .max else { return }
    sum += Int32(position)
    count += 1
  }

  /// Updates the mean of this hour of the day, and forgets a part of the excesses.
  private mutating func endHour(next: UInt8) {
    if count > 0 {
      let place = Int(hour) % 24
      let (quotient, remainder) = Int(sum).quotientAndRemainder(dividingBy: Int(count))
      let mean = remainder < 0 ? quotient - 1 : quotient
      if means[place] == Self.noMean {
        means[place] = Int16(clamping: mean)
      } else {
        let weight = min(8, 1 + Int(hours) / 24)
        let difference = mean - Int(means[place])
        let change = (abs(difference) + weight / 2) / weight
        means[place] = Int16(clamping: Int(means[place]) + (difference < 0 ? -change : change))
      }
      if hours < .max { hours += 1 }
      single = Self.decreased(single)
      sustained = Self.decreased(sustained)
    }
    (hour, sum, count) = (next, 0, 0)
  }

  /// Returns an excess decreased by 1/1024, rounded up. It computes with `Int`, because the largest excess plus 1,023 exceeds 16 bits.
  private static func decreased(_ excess: Int16) -> Int16 {
    Int16(clamping: Int(excess) - (Int(excess) + 1_023) / 1_024)
  }
}

extension LearnedBaseline: Equatable {
  static func == (one: LearnedBaseline, other: LearnedBaseline) -> Bool { one.bytes == other.bytes }
}

// The saved form.
extension LearnedBaseline {
  /// The version of the model. If a saved baseline has another version, it isn't used, and learning starts again.
  static let model: UInt64 = 1
  private static let size = 64
  /// The largest absolute value of a position and of a mean.
  private static let farthest = 63 * LogarithmicScale.octave
  /// The largest absolute value of an excess: the distance between the lowest and the highest position.
  private static let largestExcess = 2 * farthest

  /// The state as 64 bytes, big endian.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.size)
    for place in means.indices { appendBigEndian(UInt16(bitPattern: means[place]), to: &bytes) }
    appendBigEndian(UInt32(bitPattern: sum), to: &bytes)
    bytes += [count, hour]
    appendBigEndian(hours, to: &bytes)
    for value in [single, sustained, last, beforeLast] {
      appendBigEndian(UInt16(bitPattern: value), to: &bytes)
    }
    return bytes
  }

  /// Returns the state in `bytes`; nil if no baseline can have it.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.size else { return nil }
    func number(_ place: Int) -> Int16 {
      Int16(bitPattern: UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1]))
    }
    for place in means.indices { means[place] = number(2 * place) }
    sum = Int32(number(48)) << 16 | Int32(UInt16(bitPattern: number(50)))
    (count, hour) = (bytes[52], bytes[53])
    hours = UInt16(bitPattern: number(54))
    (single, sustained, last, beforeLast) = (number(56), number(58), number(60), number(62))
    let areMeansValid = means.indices.allSatisfy {
      means[$0] == Self.noMean || abs(Int(means[$0])) <= Self.farthest
    }
    let excesses = 0...Self.largestExcess
    let areExcessesValid =
      excesses.contains(Int(single)) && excesses.contains(Int(sustained))
      && [last, beforeLast].allSatisfy { $0 == .min || abs(Int($0)) <= Self.largestExcess }
    guard areMeansValid, areExcessesValid, abs(Int(sum)) <= Int(count) * Self.farthest,
      hour < Self.hourCycle || hour == Self.noHour && count == 0
    else { return nil }
  }
}
