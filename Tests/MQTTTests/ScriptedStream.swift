import MQTT
import Platform

/// A stream whose other side is scripted: it answers each write, in pieces of a given size.
final class ScriptedStream: ByteStream {
  /// The bytes to read. When there are none left, a read times out.
  private var incoming: [UInt8]
  /// The maximum number of bytes that one read returns.
  private let pieceSize: Int
  /// Whether the other side closes the stream after its last byte.
  private let endsAfterwards: Bool
  /// Called with each write; returns the other side's answer.
  private let answer: ([UInt8]) -> [UInt8]
  let time: ScriptedTime
  private(set) var written: [UInt8] = []
  private(set) var isClosed = false
  var writeError: StreamError?
  /// The error of a read when no bytes are left; nil for a timeout.
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
    // Each read takes some time, as on a real connection, so that an endless loop becomes visible.
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

  /// Sends bytes from the other side.
  func deliver(_ bytes: [UInt8]) { incoming += bytes }

  func takeWritten() -> [UInt8] {
    defer { written = [] }
    return written
  }
}

/// A clock that moves only when a test or a stream moves it.
final class ScriptedTime: TimeSource {
  private(set) var bootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000)
  var wallTime: WallTime { WallTime(nanosecondsSinceEpoch: bootTime.nanosecondsSinceBoot) }

  func pass(_ duration: Duration) { bootTime = bootTime.advanced(by: duration) }
  func pass(until instant: BootTime) { bootTime = max(bootTime, instant) }

  func after(_ duration: Duration) -> BootTime { bootTime.advanced(by: duration) }
}

/// Returns the bytes that `hex` represents; spaces are allowed.
func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
