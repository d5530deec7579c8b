import DeviceDefender
import Glibc

/// Seeded random numbers of the distributions that the simulated devices need.
struct Noise {
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  mutating func uniform(_ range: ClosedRange<Double>) -> Double { .random(in: range, using: &generator) }

  mutating func integer(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &generator) }

  mutating func chance(_ probability: Double) -> Bool { uniform(0...1) < probability }

  /// Returns a normally distributed number (Box and Muller, 1958).
  mutating func normal() -> Double {
    (-2 * log(uniform(1e-12...1))).squareRoot() * cos(2 * .pi * uniform(0...1))
  }

  /// Returns a number of events whose mean is `mean` (Poisson), by the normal distribution above 50.
  mutating func events(mean: Double) -> Double {
    guard mean <= 50 else { return max(0, (mean + normal() * mean.squareRoot()).rounded()) }
    let end = exp(-mean)
    var count = 0.0
    var product = uniform(0...1)
    while product > end {
      count += 1
      product *= uniform(0...1)
    }
    return count
  }
}
