import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct `A shutdown signal` {
  @Test func `runs its action once, and the action may ask for the request`() throws {
    let stop = try StopSwitch()
    let signal = try stop.signal()
    let answers = Mutex<[Bool]>([])
    signal.whenReceived = {
      let answer = signal.isRequested
      answers.withLock { $0.append(answer) }
    }
    #expect(!signal.isRequested && answers.withLock(\.isEmpty))
    stop.stop()
    // On a thread that the test doesn't wait for without end.
    let isDone = DispatchSemaphore(value: 0)
    Thread {
      #expect(signal.graceEnd != nil && signal.isRequested)
      isDone.signal()
    }.start()
    try #require(isDone.wait(timeout: .now() + 60) == .success, "the action can't ask")
    #expect(answers.withLock { $0 } == [true])
  }
}
