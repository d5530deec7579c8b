/// Appends the bytes of `number` in network byte order, the most significant first.
@inlinable
package func appendBigEndian(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
  for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
    bytes.append(UInt8(truncatingIfNeeded: number >> shift))
  }
}
