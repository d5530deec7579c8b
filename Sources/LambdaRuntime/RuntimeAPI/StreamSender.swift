/// Sends one streamed answer: its head with the first bytes, a chunk for each write, then its end.
final class StreamSender {
  private let connection: RuntimeConnection
  private let head: [UInt8]
  private let allowance: Duration
  private var open: RuntimeConnection.Open?
  /// Why the stream can't be written any more.
  private(set) var failure: ExchangeError?

  /// The bytes of the answer that were sent, without what frames them.
  private(set) var bytesSent = 0

  /// Whether the stream went out to its end, so that it may have arrived even where no answer came.
  private(set) var hasSentAll = false

  /// Whether anything has gone out; before that, the answer can still be another one.
  var hasBegun: Bool { open != nil || failure != nil }

  init(on connection: RuntimeConnection, head: [UInt8], allowing allowance: Duration) {
    self.connection = connection
    self.head = head
    self.allowance = allowance
  }

  func send(_ bytes: [UInt8]) throws(ExchangeError) {
    // A chunk without bytes would be the end of the stream.
    guard !bytes.isEmpty else { return }
    try write(Array("\(String(bytes.count, radix: 16))\r\n".utf8), bytes, Array("\r\n".utf8))
    bytesSent += bytes.count
  }

  /// Sends the end, with the trailers given, and returns the Runtime API's answer.
  func finish(_ trailers: String = "") throws(ExchangeError) -> RuntimeConnection.Answer {
    try write(Array("0\r\n\(trailers)\r\n".utf8), [], [])
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
      throw error
    }
  }
}
