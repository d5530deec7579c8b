import MQTT
import Platform

/// A stream whose other side is a script: it answers what is written, in pieces of any size.
final class ScriptedStream: ByteStream {
  /// What is to be read; where it runs out, reading times out.
  private var incoming: [UInt8]
  /// The most that one read returns.
  private let pieceSize: Int
  /// Whether the other side hangs up after what it has sent.
  private let endsAfterwards: Bool
  /// Called with each write; returns what the other side answers.
  private let answer: ([UInt8]) -> [UInt8]
  let time: ScriptedTime
  private(set) var written: [UInt8] = []
  private(set) var isClosed = false
  var writeError: StreamError?
  /// What reading ends with once nothing more is there, instead of the time.
  var readError: StreamError?

  init(
    _ incoming: [UInt8] = [], pieceSize: Int = .max, endsAfterwards: Bool = false,
    time: ScriptedTime = ScriptedTime(), answer: @escaping ([UInt8]) -> [UInt8] = { _ in [] }
  ) {
    self.incoming = incoming
    self.pieceSize = pieceSize
    self.endsAfterwards = endsAfterwards
    self.time = time
    self.answer = answer
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if isClosed { throw .lost("closed") }
    // A look takes a moment, as with a real connection: a loop without an end shows.
    time.pass(.milliseconds(1))
    if incoming.isEmpty {
      if endsAfterwards { return 0 }
      if let readError { throw readError }
      time.pass(until: deadline)
      throw .timedOut
    }
    let count = min(limit, pieceSize, incoming.count)
    buffer.append(contentsOf: incoming.prefix(count))
    incoming.removeFirst(count)
    return count
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    if let writeError { throw writeError }
    if isClosed { throw .lost("closed") }
    written += bytes
    incoming += answer(bytes)
  }

  func close() { isClosed = true }

  /// Makes the other side send something.
  func deliver(_ bytes: [UInt8]) { incoming += bytes }

  func takeWritten() -> [UInt8] {
    defer { written = [] }
    return written
  }
}

/// A clock that moves when it is told to.
final class ScriptedTime: TimeSource {
  private(set) var bootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000)
  var wallTime: WallTime { WallTime(nanosecondsSinceEpoch: bootTime.nanosecondsSinceBoot) }

  func pass(_ duration: Duration) { bootTime = bootTime.advanced(by: duration) }
  func pass(until instant: BootTime) { bootTime = max(bootTime, instant) }

  func after(_ duration: Duration) -> BootTime { bootTime.advanced(by: duration) }
}

/// The bytes that hexadecimal digits, with or without spaces, stand for.
func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
