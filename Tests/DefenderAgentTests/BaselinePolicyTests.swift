import DeviceDefender
import Testing

@testable import DefenderAgent

@Suite struct `The policy of the baseline` {
  private static let unavailable = ReportConfirmation.unavailable(reason: "made up")

  private func context(_ acknowledgement: Acknowledgement, _ provesDelivery: Bool, _ thing: String = "t")
    -> BaselinePolicy.Context
  {
    .init(acknowledgement: acknowledgement, provesDelivery: provesDelivery, thing: thing)
  }

  /// Whether each confirmation moves the baseline: with a transport whose success proves delivery, with one whose success
  /// doesn't, with the latter after an answer, and with `accepted`.
  @Test(arguments: [
    (ReportConfirmation?.none, true, true, true, true), (.accepted, true, true, true, true),
    (.rejected(code: "c", message: "m"), false, false, false, false),
    (.unanswered, true, true, false, false), (.stopped, true, true, false, false),
    (unavailable, true, true, false, false),
  ])
  func `moves the baseline when delivery is proven`(
    confirmation: ReportConfirmation?, proven: Bool, unproven: Bool, answered: Bool, accepted: Bool
  ) {
    func moves(_ context: BaselinePolicy.Context, answeredThing: String? = nil) -> Bool {
      var policy = BaselinePolicy(answeredThing: answeredThing)
      return policy.movesBaseline(confirmation, context)
    }
    #expect(moves(context(.publish, true)) == proven)
    #expect(moves(context(.publish, false)) == unproven)
    #expect(moves(context(.publish, false), answeredThing: "t") == answered)
    #expect(moves(context(.accepted, true)) == accepted)
  }

  @Test func `knows which thing Device Defender has answered`() {
    var policy = BaselinePolicy()
    let contexts = [context(.publish, false), context(.publish, false), context(.publish, false, "another")]
    let moves = zip([ReportConfirmation.accepted, .unanswered, .unanswered], contexts).map {
      policy.movesBaseline($0, $1)
    }
    #expect(moves == [true, false, true])
    policy = BaselinePolicy()
    _ = policy.movesBaseline(.rejected(code: "c", message: "m"), context(.publish, false))
    #expect(policy.answeredThing == "t")
  }

  @Test func `warns the operator once about reports that repeat traffic, until there is an answer`() {
    var policy = BaselinePolicy()
    for _ in 0..<2 {
      let warnings = (1...10).map { policy.hold($0, Baseline()) }
      #expect(warnings == (1...10).map { $0 == 3 })
      #expect(policy.unanswered?.id == 10)
      _ = policy.movesBaseline(.accepted, context(.publish, false))
      #expect(policy.unanswered == nil)
    }
  }
}
