package import WireFormats

/// A stream of events that the nucleus was asked for, asked for again after each new connection.
package final class IPCSubscription {
  package let request: IPCRequest

  enum State {
    /// Not asked for on this connection.
    case idle
    case requested
    case active
    /// The nucleus refused, or ended the stream; not asked for again for a while.
    case ended
  }

  var state = State.idle
  private var events: [JSONValue] = []
  private var bytesHeld = 0

  /// How many events are kept for a taker who doesn't come, and how many bytes of them; older ones go first.
  static let maximumEvents = 32
  static let maximumBytes = 256 << 10

  init(_ request: IPCRequest) {
    self.request = request
  }

  /// Whether the nucleus has said that it will send the events.
  package var isActive: Bool { state == .active }

  /// Whether the nucleus has said that it won't, or that it does no longer.
  package var isRefused: Bool { state == .ended }

  package var hasEvents: Bool { !events.isEmpty }

  /// The events that came since the last call, oldest first.
  package func takeEvents() -> [JSONValue] {
    defer {
      events = []
      bytesHeld = 0
    }
    return events
  }

  func append(_ event: JSONValue, bytes: Int) {
    if bytesHeld + bytes > Self.maximumBytes { _ = takeEvents() }
    guard bytes <= Self.maximumBytes else { return }
    if events.count == Self.maximumEvents { events.removeFirst() }
    events.append(event)
    bytesHeld += bytes
  }
}
