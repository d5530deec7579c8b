import Testing

@testable import DeviceDefender

@Suite struct `A set of identities` {
  @Test func `reuses its memory from dump to dump without growing`() {
    var seen = IdentitySet()
    for _ in 0..<100 {
      seen.removeAll()
      var count = 0
      for number in UInt64(1)...500 where seen.insert(number) { count += 1 }
      #expect(count == 500)
    }
    let capacity = seen.capacity
    #expect(capacity == 1_024)
  }

  @Test func `reports each number as new once, and 0 every time`() {
    var seen = IdentitySet()
    func new(_ numbers: some Sequence<UInt64>) -> Int {
      var count = 0
      for number in numbers where seen.insert(number) { count += 1 }
      return count
    }
    let numbers = UInt64(1)...5_000
    #expect(new([0, 0]) == 2)
    #expect(new(numbers) == 5_000)
    #expect(new(numbers) == 0)
    seen.removeAll()
    #expect(new([1, .max, .max]) == 2)
  }
}
