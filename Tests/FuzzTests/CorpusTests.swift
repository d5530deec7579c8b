import TestSupport
import Testing

@Suite struct `fuzz corpora` {
  @Test(arguments: targets)
  func `produce no finding`(target: FuzzTarget) throws {
    let inputs = try fixtureFiles("fuzz/\(target.name)")
    #expect(inputs.count > 4)
    for input in inputs + [[], [0], [0xFF]] { try target.run(input) }
  }

  @Test(arguments: targets)
  func `produce no finding when they are damaged`(target: FuzzTarget) throws {
    var random = SeededRandom(seed: 11)
    let inputs = try fixtureFiles("fuzz/\(target.name)")
    for _ in 0..<150 {
      guard let input = inputs.randomElement(using: &random) else { continue }
      try target.run(damaged(input, using: &random))
    }
  }

  @Test func `of events contain every sample event as it is now`() throws {
    for name in try fixtureNames("events") {
      #expect(try fixture("fuzz/lambda-events/\(name)") == fixture("events/\(name)"), "\(name)")
    }
  }

  @Test func `belong to one target each`() throws {
    #expect(try fixtureNames("fuzz") == targets.map(\.name).sorted())
  }
}
