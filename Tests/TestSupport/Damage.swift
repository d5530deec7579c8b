/// A seeded random number generator (SplitMix64), so that a failure can be reproduced.
package struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// Returns `bytes` with one to four random changes: bytes replaced, removed or duplicated, or the end truncated.
package func damaged(_ bytes: [UInt8], using random: inout SeededRandom) -> [UInt8] {
  var result = bytes
  for _ in 0..<Int.random(in: 1...4, using: &random) where !result.isEmpty {
    let place = Int.random(in: 0..<result.count, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: result[place] = UInt8.random(in: .min ... .max, using: &random)
    case 1: result[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: result.remove(at: place)
    case 3: result.insert(result[place], at: place)
    case 4: result.removeLast(result.count - place)
    default: result.insert(contentsOf: result[place..<min(place + 16, result.count)], at: place)
    }
  }
  return result
}
