/// Returns the CRC-32 of `bytes` as zlib computes it (IEEE 802.3, reflected polynomial 0xEDB88320).
///
/// If the data comes in pieces, `previous` is the checksum of the pieces before.
package func crc32(_ bytes: some Sequence<UInt8>, continuing previous: UInt32 = 0) -> UInt32 {
  var remainder = ~previous
  for byte in bytes {
    remainder = remainders[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8
  }
  return ~remainder
}

/// The remainder of each byte after eight steps of the division.
private let remainders: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { remainder, _ in
    remainder & 1 == 1 ? 0xEDB8_8320 ^ remainder >> 1 : remainder >> 1
  }
}
