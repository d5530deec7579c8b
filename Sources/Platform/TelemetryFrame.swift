import WireFormats

/// Returns `line` in the frame that Lambda expects on the descriptor of `_LAMBDA_TELEMETRY_LOG_FD`.
///
/// A frame is sixteen bytes and then the line. The sixteen bytes are a word with level and format, the line's length, and
/// the time in microseconds since the epoch, all big-endian. The word is `0xa55a0000`, the level in bits 2 to 4, bit 1 if
/// there is a time, and bit 0 for text rather than JSON. A frame may contain line feeds, so a message of several lines
/// stays in one piece.
package func telemetryFrame(
  _ line: some Collection<UInt8>, level: Log.Level, format: Log.Format, at time: WallTime
) -> [UInt8] {
  let word = UInt32(0xA55A_0002) | UInt32(level.rawValue + 1) << 2 | (format == .text ? 1 : 0)
  var frame: [UInt8] = []
  frame.reserveCapacity(16 + line.count)
  appendBigEndian(word, to: &frame)
  appendBigEndian(UInt32(clamping: line.count), to: &frame)
  appendBigEndian(UInt64(clamping: time.nanosecondsSinceEpoch / 1_000), to: &frame)
  frame.append(contentsOf: line)
  return frame
}
