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

  private(set) var state = State.idle
  /// Why the nucleus refused or ended the stream; nil if it didn't, or gave no reason.
  package private(set) var refusal: IPCError?
  /// Whether the nucleus has ever granted it: a refusal may pass then.
  package private(set) var wasGranted = false
  private var events: [(event: JSONValue, bytes: Int)] = []

  /// How many events are kept for a taker who doesn't come, and how many bytes of them; older ones go first.
  static let maximumEvents = 32
  static let maximumBytes = 256 << 10

  init(_ request: IPCRequest) {
    self.request = request
  }

  /// Whether the nucleus has said that it will send the events.
  var isActive: Bool { state == .active }

  /// Whether the nucleus has said that it won't, or that it does no longer.
  package var isRefused: Bool { state == .ended }

  /// Whether a refusal may pass without anybody changing anything.
  package var mayBeGranted: Bool {
    refusal.map { $0.isTransient || ($0.isUnauthorized && wasGranted) } ?? false
  }

  package var hasEvents: Bool { !events.isEmpty }

  func move(to state: State, because refusal: IPCError? = nil) {
    self.state = state
    self.refusal = refusal
    if state == .active { wasGranted = true }
  }

  /// The events that came since the last call, oldest first.
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
