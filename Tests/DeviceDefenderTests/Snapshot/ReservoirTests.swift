import Testing

@testable import DeviceDefender

@Suite struct `A reservoir` {
  @Test(arguments: [(0, 0), (0, 5), (1, 5), (5, 5), (6, 5), (1_000, 5), (1_000, 0), (10, -1)])
  func `counts all elements and keeps up to the limit`(count: Int, limit: Int) {
    var reservoir = Reservoir<Int>(limit: limit, generator: SeededGenerator(seed: 1))
    for number in 0..<count { reservoir.append(number) }
    #expect(reservoir.total == count)
    #expect(reservoir.sample.count == min(count, max(limit, 0)))
    #expect(Set(reservoir.sample).count == reservoir.sample.count)
    if count <= limit { #expect(reservoir.sample == Array(0..<count)) }
  }

  @Test func `gives each element the same chance`() {
    var kept = [Int](repeating: 0, count: 60)
    for seed in 0..<6_000 {
      var reservoir = Reservoir<Int>(limit: 6, generator: SeededGenerator(seed: UInt64(seed)))
      for number in 0..<60 { reservoir.append(number) }
      for number in reservoir.sample { kept[number] += 1 }
    }
    // Expected: 600 of each, with a standard deviation of 23.
    #expect(kept.allSatisfy { abs($0 - 600) < 140 })
  }

  @Test(arguments: 1...2)
  func `doesn't trap on the smallest random number`(limit: Int) {
    // This state is one step before 0, from which SplitMix64 generates 0.
    let generator = SeededGenerator(seed: 0 &- 0x9E37_79B9_7F4A_7C15)
    var reservoir = Reservoir<Int>(limit: limit, generator: generator)
    for number in 0..<1_000 { reservoir.append(number) }
    #expect(reservoir.total == 1_000)
    #expect(reservoir.sample.count == limit)
  }

  @Test func `gives each element the same chance after a reset`() {
    var kept = [Int](repeating: 0, count: 60)
    for seed in 0..<2_000 {
      var reservoir = Reservoir<Int>(limit: 6, generator: SeededGenerator(seed: UInt64(seed)))
      for number in 0..<10_000 { reservoir.append(number) }
      reservoir.reset()
      for number in 0..<60 { reservoir.append(number) }
      for number in reservoir.sample { kept[number] += 1 }
    }
    // Expected: 200 of each, with a standard deviation of 13.
    #expect(kept.allSatisfy { abs($0 - 200) < 80 })
  }

  @Test func `is empty after a reset`() {
    var reservoir = Reservoir<Int>(limit: 2, generator: SeededGenerator(seed: 1))
    for number in 0..<100 { reservoir.append(number) }
    reservoir.reset()
    for number in 0..<2 { reservoir.append(number) }
    #expect(reservoir.sample == [0, 1])
    #expect(reservoir.total == 2)
  }
}
