/// Returns the CRC-32 of `bytes` as zlib computes it (IEEE 802.3, reflected polynomial 0xEDB88320).
///
/// If the data comes in pieces, `previous` is the checksum of the pieces before.
package func crc32(_ bytes: some Sequence<UInt8>, continuing previous: UInt32 = 0) -> UInt32 {
  let fast = bytes.withContiguousStorageIfAvailable { unsafe crc32(of: $0.span, continuing: previous) }
  if let fast { return fast }
  let tables = remainders.span
  var remainder = ~previous
  for byte in bytes { remainder = next(remainder, byte, tables) }
  return ~remainder
}

/// Divides eight bytes at a time. DynamoDB's responses have a checksum, and a batch reads 70 KB.
private func crc32(of bytes: Span<UInt8>, continuing previous: UInt32) -> UInt32 {
  let memory = unsafe bytes.bytes
  let tables = remainders.span
  precondition(tables.count == 8 * 256)  // Spares a check for each byte.
  var remainder = ~previous
  var position = 0
  while position &+ 8 <= bytes.count {
    let word = unsafe UInt64(
      littleEndian: memory.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
    let mixed = word ^ UInt64(remainder)
    remainder = 0
    for index in 0..<8 {
      let byte = Int(UInt8(truncatingIfNeeded: mixed &>> UInt64(8 &* index)))
      // The first byte is seven bytes away from the end of the word.
      remainder ^= tables[(7 &- index) &* 256 &+ byte]
    }
    position &+= 8
  }
  while position < bytes.count {
    remainder = next(remainder, bytes[position], tables)
    position &+= 1
  }
  return ~remainder
}

@inline(__always)
private func next(_ remainder: UInt32, _ byte: UInt8, _ tables: Span<UInt32>) -> UInt32 {
  tables[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8
}

/// The remainder of each byte after eight steps of the division, then that of each byte with one zero byte after it, with two, up to seven.
private let remainders: [UInt32] = {
  var tables: [UInt32] = []
  for byte in UInt32(0)..<256 {
    var remainder = byte
    for _ in 0..<8 { remainder = remainder & 1 == 1 ? 0xEDB8_8320 ^ remainder >> 1 : remainder >> 1 }
    tables.append(remainder)
  }
  for index in 256..<(8 * 256) {
    let former = tables[index - 256]
    tables.append(tables[Int(former & 0xFF)] ^ former >> 8)
  }
  return tables
}()
