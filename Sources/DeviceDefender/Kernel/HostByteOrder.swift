extension Span<UInt8> {
  /// Returns the number at `offset`, in the host's byte order. The caller must know that the bytes are in
  /// bounds.
  @inline(__always)
  func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
    // Safe: any bytes are a valid integer, and an out-of-bounds offset traps.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// Returns the number at `offset`, in the host's byte order; nil if it isn't entirely in bounds.
  func integer<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Number.Type
  ) -> Number? {
    guard offset >= 0, count - offset >= MemoryLayout<Number>.size else { return nil }
    // Safe: any bytes are a valid integer, and the guard keeps them in bounds.
    return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }
}

/// Appends the number in the host's byte order, which netlink uses for all numbers.
func appendBytes(of number: some FixedWidthInteger, to bytes: inout [UInt8]) {
  unsafe withUnsafeBytes(of: number) { unsafe bytes.append(contentsOf: $0) }
}
