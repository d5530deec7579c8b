package import WireFormats

/// A subscription to events of the nucleus, which is renewed on each new connection.
package final class IPCSubscription {
  package let request: IPCRequest
  /// Whether the component works without the subscription, so that a refusal isn't worth a warning or a retry.
  let isOptional: Bool

  enum State {
    /// Not requested on this connection.
    case idle
    case requested
    case active
    /// The nucleus refused it or ended the stream. It isn't requested again for a while.
    case ended
  }

  private(set) var state = State.idle
  /// The error with which the nucleus refused the subscription or ended its stream; nil if neither happened or no reason
  /// was given.
  package private(set) var refusal: IPCError?
  /// Whether the nucleus has ever granted the subscription. If so, a refusal may be temporary.
  package private(set) var wasGranted = false
  private var events: [(event: JSONValue, bytes: Int)] = []

  /// The limits for events that wait for ``takeEvents()``: their number and their total size in bytes. The oldest are
  /// dropped first.
  static let maximumEvents = 32
  static let maximumBytes = 256 << 10

  init(_ request: IPCRequest, isOptional: Bool = false) {
    self.request = request
    self.isOptional = isOptional
  }

  /// The number of times that the subscription was requested. Events from before the last time may be out of date.
  package private(set) var requests = 0

  /// Whether the nucleus has granted the subscription.
  var isActive: Bool { state == .active }

  /// Whether events can arrive on the current connection. One can arrive before the nucleus grants the subscription.
  package var isOpen: Bool { state == .requested || state == .active }

  /// Whether the nucleus has refused the subscription, or has ended it.
  package var isRefused: Bool { state == .ended }

  /// Whether the refusal may be temporary, so that the subscription can succeed without any change.
  package var mayBeGranted: Bool {
    refusal.map { $0.isTransient || ($0.isUnauthorized && wasGranted) } ?? false
  }

  package var hasEvents: Bool { !events.isEmpty }

  func move(to state: State, because refusal: IPCError? = nil) {
    self.state = state
    self.refusal = refusal
    if state == .active { wasGranted = true }
    if state == .requested { requests += 1 }
  }

  /// Returns and removes the events that arrived since the last call, oldest first.
  package func takeEvents() -> [JSONValue] {
    defer { events = [] }
    return events.map(\.event)
  }

  func append(_ event: JSONValue, bytes: Int) {
    guard bytes <= Self.maximumBytes else { return }
    events.append((event, bytes))
    while events.count > Self.maximumEvents || events.reduce(0, { $0 + $1.bytes }) > Self.maximumBytes {
      events.removeFirst()
    }
  }
}
