import WireFormats

/// Up to 60 ASCII characters, held in place: an address is put in a report without allocating.
///
/// The longest text of an endpoint, `[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535`, has 53; what doesn't
/// fit is left out.
package struct ASCIIText {
  private var bytes = InlineArray<64, UInt8>(repeating: 0)
  private var count = 0

  package init() {}

  var string: String {
    var text = ""
    for index in 0..<count { text.unicodeScalars.append(UnicodeScalar(bytes[index])) }
    return text
  }

  /// Writes the text as a string of `document`.
  func write(to document: inout some DocumentWriter & ~Copyable) {
    document.string(plain: bytes.span.extracting(0..<count))
  }

  @inline(__always)
  mutating func append(_ byte: UInt8) {
    guard count < 60 else { return }
    bytes[count] = byte
    count += 1
  }

  /// Appends the first `length` of four characters, the first one in the lowest byte.
  @inline(__always)
  private mutating func append(_ characters: UInt32, length: Int) {
    guard count < 60 else { return }
    // Four bytes fit wherever fewer than 60 are taken; what is beyond the length will be written over.
    let place = count
    unsafe withUnsafeMutableBytes(of: &bytes) {
      unsafe $0.storeBytes(of: characters.littleEndian, toByteOffset: place, as: UInt32.self)
    }
    count += length
  }

  @inline(__always)
  mutating func append(decimal value: UInt16) {
    let (high, low) = (UInt32(value) / 10_000, UInt32(value) % 10_000)
    let digits = DecimalDigits(low)
    if high > 0 {
      append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: high))
      append(UInt32(littleEndian: digits.all), length: 4)
    } else {
      append(UInt32(littleEndian: digits.leading), length: digits.count)
    }
  }

  /// Appends the digits of a piece of an IPv6 address: lower case, without leading zeros (RFC 5952, section 4).
  mutating func append(hexadecimal value: UInt16) {
    if value >= 16 { append(hexadecimal: value / 16) }
    let digit = UInt8(truncatingIfNeeded: value % 16)
    append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
  }

  /// Appends `192.0.2.1:443` or `[2001:db8::1]:443`.
  mutating func append(_ endpoint: Endpoint) {
    switch endpoint.address.family {
    case .v4:
      append(endpoint.address)
    case .v6:
      append(UInt8(ascii: "["))
      append(endpoint.address)
      append(UInt8(ascii: "]"))
    }
    append(UInt8(ascii: ":"))
    append(decimal: endpoint.port)
  }

  /// Appends the address as inet_ntop(3) writes it.
  mutating func append(_ address: IPAddress) {
    switch address.family {
    case .v4: append(dotted: UInt32(truncatingIfNeeded: address.low))
    case .v6: append(v6: address)
    }
  }

  private mutating func append(dotted value: UInt32) {
    append(octet: value >> 24, then: ".")
    append(octet: value >> 16 & 0xFF, then: ".")
    append(octet: value >> 8 & 0xFF, then: ".")
    append(octet: value & 0xFF, then: nil)
  }

  /// Appends a number below 256, and a character after it.
  @inline(__always)
  private mutating func append(octet value: UInt32, then separator: Unicode.Scalar?) {
    let digits = DecimalDigits(value)
    let mark = separator.map { $0.value << UInt32(8 * digits.count) } ?? 0
    // There are three digits at most, so that the fourth place is the separator's.
    let characters = UInt32(littleEndian: digits.leading) | mark
    append(characters, length: digits.count + (separator == nil ? 0 : 1))
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
    if pieces == 6 { append(dotted: UInt32(truncatingIfNeeded: address.low)) }
  }

  /// The first of the longest runs of two or more pieces that are 0: what `::` stands for.
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
