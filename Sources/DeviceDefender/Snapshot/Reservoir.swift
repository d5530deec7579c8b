import Glibc

/// A uniform random sample of the elements seen so far, and their exact number.
///
/// Algorithm L (Kim-Hung Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", 1994): every subset of
/// `limit` elements is as likely as any other, and a random number is drawn for an element that is taken, not for
/// each that is seen.
struct Reservoir<Element> {
  /// How many elements were seen.
  private(set) var total = 0
  /// The sample; all elements, in their order, while there are no more than `limit`.
  private(set) var sample: [Element] = []
  private let limit: Int
  private var generator: SeededGenerator
  private var weight = 1.0
  /// The number of the next element, counted from 1, that gets into the sample; no other is looked at.
  private var next: Int

  init(limit: Int, generator: SeededGenerator) {
    self.limit = max(limit, 0)
    self.generator = generator
    next = self.limit == 0 ? 0 : 1
  }

  /// Forgets what was seen; keeps the memory.
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
    // Beyond 2^53 elements nothing is taken any more: nobody has so many sockets. Nor where the weight is so small that
    // the quotient isn't a number, or isn't finite.
    next = skipped >= 0 && skipped < 0x1p53 ? total + Int(skipped) + 1 : .max
  }

  /// A number between 0 and 1, neither of them included.
  private static func unit(_ generator: inout SeededGenerator) -> Double {
    // With another bit, the largest would be rounded to 1.
    (Double(generator.next() >> 12) + 0.5) * 0x1p-52
  }
}

/// Random numbers from a seed (SplitMix64: Steele, Lea and Flood, 2014); for sampling, not for secrets.
///
/// Beside `SystemRandomNumberGenerator`, which makes a system call for each number, because a test wants the same
/// sample twice.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  /// A generator whose seed is the system's.
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
