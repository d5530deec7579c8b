import Platform

/// A connection to the nucleus: it sends and receives messages, answers pings, and limits the time of every wait.
///
/// After an error that ends the connection (``IPCError/endsConnection``), it can't be used any more.
final class IPCConnection {
  private let socket: UnixSocket
  private let time: any Waiter
  private var reader = EventStreamReader()
  private var lastStreamID: Int32 = 0
  /// The time by which pending work must finish after a request to stop; nil before such a request.
  private var stopBy: BootTime?
  /// Whether a message may have been sent in part. The nucleus would read any further bytes as the rest of it.
  private(set) var isBroken = false
  /// The token that the nucleus issued when it accepted the connection; nil if it issued none.
  private(set) var issuedToken: String?

  /// How long to keep waiting for an answer after the process was asked to stop.
  ///
  /// A publish whose answer arrives needn't be repeated after the restart. The nucleus allows five seconds.
  static let grace = Duration.seconds(1)
  /// The minimum time for sending a pong, even if the current deadline is earlier.
  private static let pongTimeout = Duration.seconds(1)

  /// Connects and identifies the component; returns when the nucleus has accepted the connection.
  init(
    socketPath: String, as identity: ComponentIdentity, until deadline: BootTime, time: any Waiter
  ) throws(IPCError) {
    self.time = time
    socket = try UnixSocket(connectingTo: socketPath)
    try send(.connect(as: identity), until: deadline, waitingFor: Self.accepting)
    let answer = try nextMessage(until: deadline, waitingFor: Self.accepting)
    guard answer.kind == .connectAcknowledgement else {
      throw .malformed("a message of kind \(answer.kind) before it accepted the connection")
    }
    guard answer.flags.contains(.connectionAccepted) else { throw .tokenRefused }
    issuedToken = answer.issuedToken
  }

  private static let accepting = """
    its acceptance of this component's token (SVCUID); a wrong token is one reason, a restart of the nucleus \
    another
    """

  /// Sends the first message of a new stream and returns the stream's number.
  func start(_ request: IPCRequest, until deadline: BootTime) throws(IPCError) -> Int32 {
    let (next, overflow) = lastStreamID.addingReportingOverflow(1)
    guard !overflow else { throw .protocolError("all stream numbers are in use") }
    lastStreamID = next
    try send(.request(request, streamID: next), until: deadline, waitingFor: request.operation)
    return next
  }

  /// Ends a stream that the nucleus left open.
  func endStream(_ streamID: Int32, until deadline: BootTime) throws(IPCError) {
    try send(.endOfStream(streamID), until: deadline, waitingFor: "the end of a stream")
  }

  /// Returns the next message that isn't a ping. With `allowsGrace`, it waits for up to ``grace`` more after the process
  /// was asked to stop.
  func nextMessage(
    until deadline: BootTime, waitingFor what: String, allowsGrace: Bool = false
  ) throws(IPCError) -> RPCMessage {
    while true {
      while let message = try readMessage() {
        switch message.kind {
        case .ping:
          // Even if the deadline is about to pass, the pong must be sent, or the connection would be lost.
          let pongDeadline = max(deadline, time.bootTime.advanced(by: Self.pongTimeout))
          try send(.pingResponse(payload: message.payload), until: pongDeadline, waitingFor: what)
          // A nucleus that only sends pings must not extend the wait beyond the deadline.
          try checkTime(until: deadline, waitingFor: what)
        case .protocolError, .internalError:
          throw .protocolError(message.errorText)
        default:
          return message
        }
      }
      var bytes: [UInt8] = []
      switch try orDisconnected(what, { () throws(Errno) in try socket.read(into: &bytes) }) {
      case nil: try wait(toBe: .readable, until: deadline, waitingFor: what, allowsGrace: allowsGrace)
      case 0: throw .disconnected(waitingFor: what, nil)
      default: reader.append(bytes)
      }
    }
  }

  private func readMessage() throws(IPCError) -> RPCMessage? {
    let message: EventStreamMessage?
    do throws(EventStreamError) {
      message = try reader.nextMessage()
    } catch {
      throw .malformed(error.description)
    }
    guard let message else { return nil }
    return try RPCMessage(message)
  }

  private func send(
    _ message: EventStreamMessage, until deadline: BootTime, waitingFor what: String
  ) throws(IPCError) {
    let bytes: [UInt8]
    do throws(EventStreamError) {
      bytes = try message.encoded()
    } catch {
      throw .malformed("no answer, because the request can't be encoded: \(error)")
    }
    do throws(IPCError) {
      try write(bytes, until: deadline, waitingFor: what)
    } catch {
      isBroken = true
      if case .timedOut = error { throw .stalled(before: what) }
      throw error
    }
  }

  private func write(_ bytes: [UInt8], until deadline: BootTime, waitingFor what: String) throws(IPCError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = try orDisconnected(what) { () throws(Errno) in try socket.write(rest) }
      rest = rest.dropFirst(count)
      if count == 0 {
        try wait(toBe: .writable, until: deadline, waitingFor: what, allowsGrace: true)
      }
    }
  }

  private func wait(
    toBe readiness: Readiness, until deadline: BootTime, waitingFor what: String, allowsGrace: Bool
  ) throws(IPCError) {
    try checkTime(until: deadline, waitingFor: what)
    let end = min(deadline, stopBy ?? deadline)
    let wake = try orDisconnected(what) { () throws(Errno) in
      try time.wait(for: socket.rawValue, toBe: readiness, until: end, endsOnShutdown: stopBy == nil)
    }
    guard wake == .shutdown else { return }
    guard allowsGrace else { throw .shutdown }
    stopBy = time.bootTime.advanced(by: Self.grace)
  }

  /// Throws if the deadline of the wait, or the grace period after a request to stop, is over.
  func checkTime(until deadline: BootTime, waitingFor what: String) throws(IPCError) {
    let now = time.bootTime
    if let stopBy, now >= stopBy { throw .shutdown }
    if now >= deadline { throw .timedOut(waitingFor: what) }
  }

  private func orDisconnected<Value>(
    _ what: String, _ body: () throws(Errno) -> Value
  ) throws(IPCError) -> Value {
    do throws(Errno) {
      return try body()
    } catch {
      throw .disconnected(waitingFor: what, error)
    }
  }
}
