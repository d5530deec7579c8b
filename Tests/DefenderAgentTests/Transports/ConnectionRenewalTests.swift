import Platform
import TestSupport
import Testing
import WireFormats

@testable import DefenderAgent

/// A publisher that counts how often it is renewed.
private final class RenewedPublisher: Publisher {
  private(set) var renewals = 0
  private(set) var isConnected = true

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt { PublishReceipt(attempts: 1) }

  func renew() {
    renewals += 1
    isConnected = false
  }
}

@Suite struct `A SIGHUP` {
  @Test(arguments: [(true, 1), (false, 0)])
  func `closes a connection of this process once, during the next wait`(isOwn: Bool, renewals: Int) throws {
    let signal = try StopSwitch().signal()
    let time = ManualTime()
    let publisher = RenewedPublisher()
    let renewal = ConnectionRenewal(signal, log: Log { _, _ in })
    renewal.ownsConnection = isOwn
    renewal.publisher = publisher
    var shown: [String] = []
    renewal.status = AgentStatus { shown.append($0) }
    let waiter = TaskRunningWaiter(time, running: [renewal])
    #expect(waiter.wait(until: time.bootTime.advanced(by: .seconds(1))) == .onTime)
    #expect(publisher.renewals == 0)
    signal.whenHungUp?()
    for _ in 0..<2 { #expect(waiter.wait(until: time.bootTime.advanced(by: .seconds(1))) == .onTime) }
    #expect(publisher.renewals == renewals)
    #expect(shown == Array(repeating: "Not connected until the next report; no report yet", count: renewals))
  }
}
