import Platform
import WireFormats

/// A keep-alive connection to the Runtime API, which exchanges one request for one reply at a time.
final class RuntimeConnection {
  /// A reply with its complete body.
  struct Answer {
    let head: ResponseHead
    let body: [UInt8]
  }

  /// The time limits for connecting and for one exchange. The server is local, so a second is a long time.
  static let connectTimeout = Duration.seconds(2)
  static let exchangeTimeout = Duration.seconds(10)
  /// The time limit for the rest of a reply that has begun to arrive.
  private static let earlyAnswerTimeout = Duration.seconds(1)
  /// The maximum size of an event: 64 MiB. Lambda's own limit is 6 MiB, but some emulators allow more.
  static let maximumEventBytes = 67_108_864
  static let maximumAnswerBytes = 65_536

  private let endpoint: RuntimeEndpoint
  private let shutdown: ShutdownSignal?
  /// The open connection; nil before the first exchange and after one that failed.
  private var open: Open?
  /// Whether the last exchange reused a connection, which the server may have closed in the meantime.
  private(set) var wasReused = false
  /// Whether the whole of the last request was sent, so that it may have arrived even if there was no reply.
  private(set) var hasSentAll = false

  /// An open connection. A class, so that the caller still holds it if an exchange throws.
  final class Open {
    var reader: MessageReader<LoopbackSocket>

    init(_ socket: consuming LoopbackSocket) {
      reader = MessageReader(socket)
    }
  }

  init(to endpoint: RuntimeEndpoint, until shutdown: ShutdownSignal?) {
    self.endpoint = endpoint
    self.shutdown = shutdown
  }

  /// Sends `request` and waits for the reply without a time limit. Throws `shutdown` if the process is asked to stop.
  func poll(_ request: [UInt8]) throws(ExchangeError) -> Answer {
    let connection = try takeConnection()
    try connection.reader.source.send(request, [])
    try connection.reader.source.waitForAnswer(or: shutdown?.descriptor ?? -1)
    // Once the first byte is here, the rest must follow within the time limit of an exchange.
    connection.reader.source.begin(allowing: Self.exchangeTimeout, until: shutdown, .end)
    return try answer(on: connection, limit: Self.maximumEventBytes)
  }

  /// Takes a connection that the server hasn't closed, for a request that can't be sent twice.
  func takeLiveConnection(allowing allowance: Duration) throws(ExchangeError) -> Open {
    closeUnlessIdle()
    let connection = try takeConnection()
    connection.reader.source.begin(allowing: allowance, until: shutdown, .hurry)
    return connection
  }

  /// Closes the connection.
  func close() { open = nil }

  /// Sends a request in two parts and waits for its reply, within the time limit of an exchange.
  func post(_ head: [UInt8], _ body: [UInt8]) throws(ExchangeError) -> Answer {
    hasSentAll = false
    closeUnlessIdle()
    let connection = try takeConnection()
    do throws(ExchangeError) {
      try connection.reader.source.send(head, body)
    } catch {
      guard let answer = earlyAnswer(on: connection) else { throw error }
      return answer
    }
    hasSentAll = true
    return try answer(on: connection, limit: Self.maximumAnswerBytes)
  }

  /// Returns the rejection that the server sent before it had read the whole request; nil if there is none.
  ///
  /// A server may reject a request after its head and close the connection (410, 413). Sending the rest of a large body then fails, but
  /// the kernel keeps the reply that arrived before the reset.
  func earlyAnswer(on connection: Open) -> Answer? {
    guard !connection.reader.source.isIdle else { return nil }
    connection.reader.source.begin(allowing: Self.earlyAnswerTimeout, until: shutdown, .end)
    // If there is no complete reply, the caller reports the failed write.
    guard let answer = try? answer(on: connection, limit: Self.maximumAnswerBytes) else { return nil }
    // The server still expects the rest of the request on it.
    open = nil
    // Only a rejection is final without the whole request.
    return answer.head.status >= 400 ? answer : nil
  }

  /// Closes an idle connection that the server has closed, or on which data has arrived since the last exchange.
  ///
  /// A server may send a response before it closes an idle connection (408, RFC 9110, section 15.5.9). That response would be
  /// mistaken for the reply to the next POST, and the function's response would be lost.
  private func closeUnlessIdle() {
    if let open, !open.reader.source.isIdle { self.open = nil }
  }

  /// Takes the open connection out of `open`, or opens a new one. After a successful exchange, `answer` puts it back.
  private func takeConnection() throws(ExchangeError) -> Open {
    let kept = open
    open = nil
    // Unsolicited bytes would be mistaken for the next reply.
    if let kept, !kept.reader.hasUnreadBytes {
      wasReused = true
      kept.reader.source.begin(allowing: Self.exchangeTimeout, until: shutdown, .hurry)
      return kept
    }
    wasReused = false
    let connection = Open(try LoopbackSocket.connected(to: endpoint, within: Self.connectTimeout))
    connection.reader.source.begin(allowing: Self.exchangeTimeout, until: shutdown, .hurry)
    return connection
  }

  /// Reads the reply to the request sent on `connection`. Keeps the connection if the server does.
  ///
  /// On a reused connection, status 408 means that the server timed out the idle connection, not the request. It is thrown, so
  /// that the caller treats the connection as stale.
  func answer(on connection: Open, limit: Int) throws(ExchangeError) -> Answer {
    let head = try connection.reader.head()
    let body = try connection.reader.body(after: head, limit: limit)
    if head.status == 408 {
      guard wasReused else { return Answer(head: head, body: body) }
      // The server closed the connection before it read the request.
      hasSentAll = false
      throw .refused(status: 408, reason: reason(in: body))
    }
    if head.keepsConnection { open = connection }
    return Answer(head: head, body: body)
  }
}
