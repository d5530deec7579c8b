import Platform
import WireFormats

/// A keep-alive connection to the Runtime API, and the exchange of one request for one answer on it.
final class RuntimeConnection {
  /// One answer, its body read to the end.
  struct Answer {
    let head: ResponseHead
    let body: [UInt8]
  }

  /// How long the parts of an exchange may take. Nothing here goes over a network, so a second is long.
  static let connectTimeout = Duration.seconds(2)
  static let exchangeTimeout = Duration.seconds(10)
  /// Lambda's events have at most 6 MiB; the rest is for emulators that are not so strict.
  static let maximumEventBytes = 67_108_864
  static let maximumAnswerBytes = 65_536

  private let endpoint: RuntimeEndpoint
  private let shutdown: ShutdownSignal?
  /// None before the first exchange, and after one that failed.
  private var open: Open?
  /// Whether the last exchange went out on a connection that had served before, and that the other side may have given up.
  private(set) var wasReused = false
  /// Whether all of the last request went out, so that it may have arrived even where no answer came.
  private(set) var hasSentAll = false

  /// What an exchange works on; a class, so that it can be held across the failure of one.
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

  /// Sends `request` and waits for an event as long as it takes, or until the process is asked to stop.
  func poll(_ request: [UInt8]) throws(ExchangeError) -> Answer {
    let connection = try takeConnection()
    try connection.reader.source.send(request, [])
    try connection.reader.source.waitForAnswer(or: shutdown?.descriptor ?? -1)
    // From the first byte on, the rest is under way.
    connection.reader.source.begin(allowing: Self.exchangeTimeout, until: shutdown, .end)
    return try answer(on: connection, limit: Self.maximumEventBytes)
  }

  /// Takes a connection that the other side has not given up, for a request that can't be sent twice.
  func takeLiveConnection(allowing allowance: Duration) throws(ExchangeError) -> Open {
    closeUnlessIdle()
    let connection = try takeConnection()
    connection.reader.source.begin(allowing: allowance, until: shutdown, .hurry)
    return connection
  }

  /// Gives up the connection, which doesn't outlive a snapshot.
  func close() { open = nil }

  /// Sends a request in two parts and waits for its answer, for the time of an exchange at most.
  func post(_ head: [UInt8], _ body: [UInt8]) throws(ExchangeError) -> Answer {
    hasSentAll = false
    closeUnlessIdle()
    let connection = try takeConnection()
    try connection.reader.source.send(head, body)
    hasSentAll = true
    return try answer(on: connection, limit: Self.maximumAnswerBytes)
  }

  /// Closes a kept connection that has ended, or on which something has arrived since the last exchange.
  ///
  /// A server that gives up an idle connection may send a response first (408, RFC 9110, section 15.5.9). It would be
  /// read as the answer to the next POST, and what that carries would be lost.
  private func closeUnlessIdle() {
    if let open, !open.reader.source.isIdle { self.open = nil }
  }

  /// Takes the open connection, or makes one; whoever brings the exchange to a good end puts it back.
  private func takeConnection() throws(ExchangeError) -> Open {
    let kept = open
    open = nil
    // Bytes that nobody asked for would be taken for the next answer.
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

  /// Reads the answer to what was sent on `connection`, and keeps the connection where the other side does.
  ///
  /// On a reused connection, 408 reports the idle time-out, not the request. It is thrown as a stale connection.
  func answer(on connection: Open, limit: Int) throws(ExchangeError) -> Answer {
    let head = try connection.reader.head()
    let body = try connection.reader.body(after: head, limit: limit)
    if head.status == 408 {
      guard wasReused else { return Answer(head: head, body: body) }
      // The other side gave up before it read the request.
      hasSentAll = false
      throw .refused(status: 408, reason: reason(in: body))
    }
    if head.keepsConnection { open = connection }
    return Answer(head: head, body: body)
  }
}
