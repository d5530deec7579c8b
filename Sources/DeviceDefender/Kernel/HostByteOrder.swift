extension Span<UInt8> {
  /// The number at `offset`, in the host's byte order, of bytes that the caller knows to be there.
  @inline(__always)
  func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
    // Any bytes are an integer; were they not there, this would stop rather than read beyond the end.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// The number at `offset`, in the host's byte order; nil where it would reach beyond the end.
  func integer<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Number.Type
  ) -> Number? {
    guard offset >= 0, count - offset >= MemoryLayout<Number>.size else { return nil }
    // Any bytes are an integer, and they are all inside.
    return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }
}

/// Appends the number as it is in memory, in the host's byte order, as netlink has all its numbers.
func appendBytes(of number: some FixedWidthInteger, to bytes: inout [UInt8]) {
  unsafe withUnsafeBytes(of: number) { unsafe bytes.append(contentsOf: $0) }
}
