import Glibc

/// A uniform random sample of the elements seen so far, and the exact number of these elements.
///
/// Algorithm L (Kim-Hung Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", 1994).
/// Every subset of `limit` elements is equally likely. Random numbers are drawn only for elements that enter
/// the sample, not for each element seen.
struct Reservoir<Element> {
  /// The number of elements seen.
  private(set) var total = 0
  /// The sample. While there are no more than `limit` elements, it contains all of them in order.
  private(set) var sample: [Element] = []
  private let limit: Int
  private var generator: SeededGenerator
  private var weight = 1.0
  /// The position, counted from 1, of the next element that enters the sample; elements before it are
  /// skipped.
  private var next: Int

  init(limit: Int, generator: SeededGenerator) {
    self.limit = max(limit, 0)
    self.generator = generator
    next = self.limit == 0 ? 0 : 1
  }

  /// Removes all elements and keeps the memory.
  mutating func reset() {
    total = 0
    sample.removeAll(keepingCapacity: true)
    weight = 1
    next = limit == 0 ? 0 : 1
  }

  @inline(__always)
  mutating func append(_ element: @autoclosure () -> Element) {
    total &+= 1
    if total == next { take(element()) }
  }

  @inline(never)
  private mutating func take(_ element: Element) {
    if sample.count < limit {
      sample.append(element)
      next = total &+ 1
      if sample.count < limit { return }
    } else {
      sample[Int.random(in: sample.indices, using: &generator)] = element
    }
    skipAhead()
  }

  private mutating func skipAhead() {
    weight *= exp(log(Self.unit(&generator)) / Double(limit))
    let skipped = (log(Self.unit(&generator)) / log(1 - weight)).rounded(.down)
    // Stops sampling if the next position is beyond 2^53, or if the weight is so small that the quotient
    // isn't finite. No system has that many sockets.
    next = skipped >= 0 && skipped < 0x1p53 ? total + Int(skipped) + 1 : .max
  }

  /// Returns a number between 0 and 1, both excluded.
  private static func unit(_ generator: inout SeededGenerator) -> Double {
    // With one more bit, the largest value would round to 1.
    (Double(generator.next() >> 12) + 0.5) * 0x1p-52
  }
}

/// A seeded random number generator (SplitMix64: Steele, Lea and Flood, 2014) for sampling, not for secrets.
///
/// Unlike `SystemRandomNumberGenerator`, it makes no system call for each number, and a test can repeat its
/// sequence.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  /// Returns a generator seeded by `SystemRandomNumberGenerator`.
  package static func seededBySystem() -> SeededGenerator {
    var system = SystemRandomNumberGenerator()
    return SeededGenerator(seed: system.next())
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
