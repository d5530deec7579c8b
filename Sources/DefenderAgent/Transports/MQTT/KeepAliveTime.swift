package import Platform

/// A clock whose sleeps keep an MQTT connection alive.
///
/// The handler sleeps between reports and knows nothing of connections; this wakes for a ping in between, and for
/// nothing else.
package struct KeepAliveTime: TimeKeeper {
  private let time: any TimeKeeper
  private let publisher: MQTTPublisher

  package init(_ time: any TimeKeeper, keepingAlive publisher: MQTTPublisher) {
    self.time = time
    self.publisher = publisher
  }

  package var wallTime: WallTime { time.wallTime }
  package var bootTime: BootTime { time.bootTime }
  package var shutdownSignal: ShutdownSignal? { time.shutdownSignal }

  package func sleep(until instant: BootTime) -> Wake {
    while let ping = publisher.nextPing, ping < instant {
      let wake = time.sleep(until: ping)
      guard wake == .onTime else { return wake }
      publisher.keepAlive(until: instant)
    }
    return time.sleep(until: instant)
  }
}
