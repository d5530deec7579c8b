/// Sends one streamed response: the head together with the first write, a chunk for each write, and the end.
final class StreamSender {
  private let connection: RuntimeConnection
  private let head: [UInt8]
  private let allowance: Duration
  private var open: RuntimeConnection.Open?
  /// The error that broke the stream; nil if it is intact.
  private(set) var failure: ExchangeError?

  /// The rejection that the Runtime API sent before the end of the stream; nil if there is none.
  private var rejection: RuntimeConnection.Answer?

  /// The number of body bytes sent so far, without chunk framing.
  private(set) var bytesSent = 0

  /// Whether the whole stream was sent, so that it may have arrived even if there was no reply.
  private(set) var hasSentAll = false

  /// Whether anything has been sent. Until then, an error can be sent instead of the stream.
  var hasBegun: Bool { open != nil || failure != nil }

  init(on connection: RuntimeConnection, head: [UInt8], allowing allowance: Duration) {
    self.connection = connection
    self.head = head
    self.allowance = allowance
  }

  func send(_ bytes: [UInt8]) throws(ExchangeError) {
    // An empty chunk would end the stream.
    guard !bytes.isEmpty else { return }
    try write(Array("\(String(bytes.count, radix: 16))\r\n".utf8), bytes, Array("\r\n".utf8))
    bytesSent += bytes.count
  }

  /// Sends the last chunk with the given trailers. Returns the Runtime API's reply, also if it came before the end and broke the stream.
  func finish(_ trailers: String = "") throws(ExchangeError) -> RuntimeConnection.Answer {
    do throws(ExchangeError) {
      try write(Array("0\r\n\(trailers)\r\n".utf8), [], [])
    } catch {
      guard let rejection else { throw error }
      return rejection
    }
    hasSentAll = true
    guard let open else { throw .closed }
    return try connection.answer(on: open, limit: RuntimeConnection.maximumAnswerBytes)
  }

  private func write(_ start: [UInt8], _ bytes: [UInt8], _ end: [UInt8]) throws(ExchangeError) {
    if let failure { throw failure }
    do throws(ExchangeError) {
      if let open {
        try open.reader.source.send(start, bytes, end)
      } else {
        let new = try connection.takeLiveConnection(allowing: allowance)
        open = new
        try new.reader.source.send(head + start, bytes, end)
      }
    } catch {
      failure = error
      if let open { rejection = connection.earlyAnswer(on: open) }
      throw error
    }
  }
}
