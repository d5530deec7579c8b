import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A shutdown signal` {
  @Test func `runs its action once, and the action may ask for the request`() throws {
    let stop = try StopSwitch()
    let signal = try stop.signal()
    var answers: [Bool] = []
    signal.whenReceived = { answers.append(signal.isRequested) }
    #expect(!signal.isRequested && answers == [])
    stop.stop()
    #expect(signal.graceEnd != nil && signal.isRequested)
    #expect(answers == [true])
  }
}
