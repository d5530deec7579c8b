import WireFormats

/// The frame in which Lambda takes a log line over the descriptor of `_LAMBDA_TELEMETRY_LOG_FD`.
///
/// Sixteen bytes, then the line: a word that says level and format, the line's length, and the time in microseconds since
/// the epoch, all of them big-endian. The word is `0xa55a0000`, the level in bits 2 to 4, bit 1 for "there is a time", and
/// bit 0 for text rather than JSON. A frame may hold line feeds, so that what belongs together stays together.
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
