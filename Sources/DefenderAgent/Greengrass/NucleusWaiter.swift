import GreengrassIPC
import Platform

/// A waiter that serves the nucleus's connection while it waits. It ends the wait if the component's plan is out of date, or if
/// a command has arrived.
struct NucleusWaiter: Waiter {
  private let client: IPCClient
  private let watch: NucleusWatch
  private let waiter: any Waiter
  /// The publisher that receives commands; nil if the component doesn't publish through the nucleus.
  private let publisher: GreengrassPublisher?

  init(
    _ client: IPCClient, _ watch: NucleusWatch, _ waiter: any Waiter, publisher: GreengrassPublisher? = nil
  ) {
    self.client = client
    self.watch = watch
    self.waiter = waiter
    self.publisher = publisher
  }

  var wallTime: WallTime { waiter.wallTime }
  var bootTime: BootTime { waiter.bootTime }
  var shutdownSignal: ShutdownSignal? { waiter.shutdownSignal }

  func wait(until instant: BootTime) -> Wake {
    switch client.serve(until: instant, orWhen: { watch.hasNews || publisher?.hasCommands == true }) {
    case .shutdown: return .shutdown
    case .condition:
      if shutdownSignal?.isRequested == true { return .shutdown }
      return watch.hasNews ? .interrupted : .message
    case .onTime: break
    }
    guard watch.hasChanged() else { return .onTime }
    return shutdownSignal?.isRequested == true ? .shutdown : .interrupted
  }

  func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    try waiter.wait(for: descriptor, toBe: readiness, until: deadline, endsOnShutdown: endsOnShutdown)
  }
}
