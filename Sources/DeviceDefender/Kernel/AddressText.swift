import WireFormats

extension ByteBuffer {
  /// Appends `192.0.2.1:443` or `[2001:db8::1]:443`; at most 53 characters.
  @inline(__always)
  mutating func append(_ endpoint: IPEndpoint) {
    switch endpoint.address.family {
    case .v4:
      append(dotted: endpoint.address, then: ":")
    case .v6:
      append(UInt8(ascii: "["))
      append(endpoint.address)
      append(UInt8(ascii: "]"))
      append(UInt8(ascii: ":"))
    }
    append(decimal: UInt64(endpoint.port))
  }

  /// Appends the address as inet_ntop(3) writes it.
  mutating func append(_ address: IPAddress) {
    switch address.family {
    case .v4: append(dotted: address)
    case .v6: append(v6: address)
    }
  }

  /// Appends the last 32 bits of the address as `192.0.2.1`, followed by `character`.
  @inline(__always)
  private mutating func append(dotted address: IPAddress, then character: Unicode.Scalar? = nil) {
    func octet(_ shift: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: address.low >> shift) }
    append(decimal: octet(24), then: ".")
    append(decimal: octet(16), then: ".")
    append(decimal: octet(8), then: ".")
    if let character {
      append(decimal: octet(0), then: character)
    } else {
      append(decimal: UInt64(octet(0)))
    }
  }

  /// Appends the digits of a piece of an IPv6 address: lower case, without leading zeros (RFC 5952, section 4).
  private mutating func append(hexadecimal value: UInt16) {
    if value >= 16 { append(hexadecimal: value / 16) }
    let digit = UInt8(truncatingIfNeeded: value % 16)
    append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
  }

  private mutating func append(v6 address: IPAddress) {
    let zeros = longestRunOfZeros(in: address)
    // `::ffff:192.0.2.1` and `::192.0.2.1` end in dotted form, `::1` doesn't.
    let isMapped = address.high == 0 && address.low >> 32 == 0xFFFF
    let isCompatible = address.high == 0 && address.low >> 32 == 0 && address.piece(6) != 0
    let pieces = isMapped || isCompatible ? 6 : 8
    var index = 0
    while index < pieces {
      if index == zeros.lowerBound, !zeros.isEmpty {
        append(UInt8(ascii: ":"))
        index = zeros.upperBound
        continue
      }
      if index > 0 { append(UInt8(ascii: ":")) }
      append(hexadecimal: address.piece(index))
      index += 1
    }
    if zeros.upperBound == 8 || pieces == 6 { append(UInt8(ascii: ":")) }
    if pieces == 6 { append(dotted: address) }
  }

  /// Returns the longest run of two or more zero pieces, the first one if several are equally long; `::`
  /// replaces it.
  private func longestRunOfZeros(in address: IPAddress) -> Range<Int> {
    var longest = 0..<0
    var start = 0
    for index in 0..<8 {
      if address.piece(index) != 0 {
        start = index + 1
      } else if index + 1 - start > max(longest.count, 1) {
        longest = start..<(index + 1)
      }
    }
    return longest
  }
}
