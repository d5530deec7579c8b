/// A generator that returns the same number each time.
package struct FixedGenerator: RandomNumberGenerator, Sendable {
  private let number: UInt64

  /// Draws the lower end of a range of `Double`. Not 0: the standard library would reject that number for ever.
  package static let lowest = FixedGenerator(2_047)
  /// Draws the upper end of a range of `Double`.
  package static let highest = FixedGenerator(.max)

  private init(_ number: UInt64) {
    self.number = number
  }

  package mutating func next() -> UInt64 { number }
}
