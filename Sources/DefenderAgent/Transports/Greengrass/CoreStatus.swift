import GreengrassIPC
import Platform
import WireFormats

/// The state of the Greengrass core's connection to AWS IoT, as far as the nucleus announces it.
///
/// The nucleus sends `{"connectionStatusEvent":{"status":"CONNECTED"}}` or `DISCONNECTED`, first the current state and then each
/// change. Older nuclei refuse the subscription. Then the state is unknown, and the core counts as online.
final class CoreStatus {
  private let events: IPCSubscription
  private let log: Log
  /// The last state, and the number of requests until then: the next connection may be to another nucleus.
  private var last: (isOffline: Bool, requests: Int)?
  /// Whether the last line in the log says that the core is offline.
  private var isLoggedAsOffline = false

  init(_ client: IPCClient, log: Log) {
    events = client.subscribe(.subscribeToIoTCoreConnectionStatus, isOptional: true)
    self.log = log
  }

  /// Whether the nucleus has announced that the core has no connection to AWS IoT.
  var isOffline: Bool { isOnline == false }

  /// Whether the core is connected to AWS IoT; nil if the nucleus hasn't announced it on the current connection.
  private var isOnline: Bool? {
    guard let last, events.isOpen, last.requests == events.requests else { return nil }
    return !last.isOffline
  }

  /// Waits for the first announcement, and returns whether the core is connected to AWS IoT. Returns nil if the nucleus refuses
  /// the subscription, or announces nothing before `deadline`.
  func isOnline(_ client: IPCClient, until deadline: BootTime) -> Bool? {
    _ = client.serve(until: deadline) { events.hasEvents || events.isRefused || isOnline != nil }
    update()
    return isOnline
  }

  /// Processes the announcements that have arrived, and logs a change.
  func update() {
    for event in events.takeEvents() { take(event) }
    // An unknown state isn't a change.
    guard let isOnline, isOnline == isLoggedAsOffline else { return }
    isLoggedAsOffline = !isOnline
    log.info(
      isOnline
        ? "The Greengrass core is connected to AWS IoT again."
        : "The Greengrass core has no connection to AWS IoT.")
  }

  private func take(_ event: JSONValue) {
    switch event["connectionStatusEvent"]?["status"]?.string {
    case "CONNECTED": last = (false, events.requests)
    case "DISCONNECTED": last = (true, events.requests)
    default: log.debug("Ignored an event of the Greengrass nucleus without a known connection status.")
    }
  }
}
