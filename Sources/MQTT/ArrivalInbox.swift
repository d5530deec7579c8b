/// What has arrived in a session and waits for its user, the oldest first.
///
/// Its size is limited, because a server can send messages while a call waits for something else.
struct ArrivalInbox {
  static let countLimit = 64
  /// The limit on the payloads of the waiting messages, in bytes. The newest message may be larger.
  static let byteLimit = 262_144

  private var arrivals: [Session.Arrival] = []
  private var bytes = 0

  /// Adds an arrival. Drops the oldest one if there are too many, and the oldest messages if they are too large.
  mutating func append(_ arrival: Session.Arrival) {
    if arrivals.count == Self.countLimit { remove(at: 0) }
    bytes += Self.size(of: arrival)
    while bytes > Self.byteLimit, let oldest = arrivals.firstIndex(where: { Self.size(of: $0) > 0 }) {
      remove(at: oldest)
    }
    arrivals.append(arrival)
  }

  /// Returns and removes the oldest arrival; nil if there is none.
  mutating func takeFirst() -> Session.Arrival? {
    guard let first = arrivals.first else { return nil }
    remove(at: 0)
    return first
  }

  private mutating func remove(at index: Int) { bytes -= Self.size(of: arrivals.remove(at: index)) }

  private static func size(of arrival: Session.Arrival) -> Int {
    guard case .message(let message) = arrival else { return 0 }
    return message.payload.count
  }
}
