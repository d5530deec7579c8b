import Glibc

/// A growable buffer to which bytes are appended.
///
/// Faster than an array, which checks at each append whether its storage is uniquely referenced: with an array, a report of 150
/// entries took twelve times as long as in plain C. This buffer has a single owner, and each write checks the capacity once.
@safe
public struct ByteBuffer: ~Copyable {
  /// The minimum capacity in bytes.
  @usableFromInline static let leastCapacity = 256

  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var size = 0

  /// Creates a buffer with room for `capacity` bytes before it must grow.
  public init(capacity: Int) {
    self.capacity = max(capacity, Self.leastCapacity)
    unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { unsafe base.deallocate() }

  /// A copy of the bytes written so far.
  public var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: base, count: size)) }

  /// The number of bytes written so far.
  @inlinable @inline(__always)
  public var count: Int { size }

  /// Ensures room for `count` more bytes.
  @inlinable @inline(__always)
  mutating func reserve(_ count: Int) {
    // Can't overflow: neither is negative, and size is at most capacity.
    if capacity &- size < count { grow(by: count) }
  }

  @usableFromInline @inline(never)
  mutating func grow(by count: Int) {
    let larger = max(capacity * 2, size + count)
    let place = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    unsafe place.copyMemory(from: base, byteCount: size)
    unsafe base.deallocate()
    unsafe base = place
    capacity = larger
  }

  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    put(byte)
  }

  @inlinable
  public mutating func append(_ bytes: Span<UInt8>) {
    let count = bytes.count
    reserve(count)
    unsafe bytes.withUnsafeBytes { source in
      // An empty buffer may have no address.
      if let start = source.baseAddress { unsafe (base + size).copyMemory(from: start, byteCount: count) }
    }
    size += count
  }

  /// Appends the digits of `value`.
  @inlinable @inline(__always)
  public mutating func append(decimal value: UInt64) {
    if value < 100_000 {
      append(fiveDecimal: UInt32(truncatingIfNeeded: value))
    } else {
      append(longDecimal: value)
    }
  }

  /// Appends the digits of `value`, and a character after them.
  @inlinable @inline(__always)
  public mutating func append(decimal value: UInt8, then character: Unicode.Scalar) {
    reserve(4)
    let digits = DecimalDigits(UInt32(value))
    // There are at most three, so the fourth byte is free for the character.
    let mark = UInt32(UInt8(ascii: character)) << UInt32(truncatingIfNeeded: 8 &* digits.count)
    put((UInt32(littleEndian: digits.leading) | mark).littleEndian)
    size &-= 3 &- digits.count
  }

  @inlinable @inline(__always)
  mutating func append(fiveDecimal value: UInt32) {
    reserve(5)
    let high = value / 10_000
    if high == 0 {
      putLeading(value)
    } else {
      put(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: high))
      putFour(value &- high &* 10_000)
    }
  }

  @inlinable
  mutating func append(longDecimal value: UInt64) {
    // Up to 20 digits: first the leading ones, then the last 16 in groups of four.
    let eight = UInt64(100_000_000)
    let rest = UInt32(truncatingIfNeeded: value % eight)
    if value < eight {
      reserve(8)
      putLeading(rest / 10_000)
    } else {
      append(decimal: value / eight)
      reserve(8)
      putFour(rest / 10_000)
    }
    putFour(rest % 10_000)
  }
}

/// Functions that write without a capacity check. The caller must first reserve room for everything that it writes.
extension ByteBuffer {
  /// Writes the memory representation of a number. The caller must convert it to the right byte order.
  @inlinable @inline(__always)
  mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
    unsafe base.storeBytes(of: number, toByteOffset: size, as: Number.self)
    size &+= MemoryLayout<Number>.size
  }

  /// Writes the text. Needs room for 32 bytes, because it always copies 32. Later writes overwrite the excess.
  @inlinable @inline(__always)
  mutating func put(_ text: ShortText) {
    unsafe base.storeBytes(of: text.bytes, toByteOffset: size, as: ShortText.Bytes.self)
    size &+= text.count
  }

  /// Writes the one to four digits of a number below 10,000. Needs room for four bytes.
  @inlinable @inline(__always)
  mutating func putLeading(_ value: UInt32) {
    let digits = DecimalDigits(value)
    put(digits.leading)
    size &-= 4 &- digits.count
  }

  /// Writes four digits, including leading zeros.
  @inlinable @inline(__always)
  mutating func putFour(_ value: UInt32) { put(DecimalDigits(value).all) }

  /// Overwrites the byte at `index`, which must be less than the size.
  @inlinable @inline(__always)
  mutating func replace(at index: Int, with byte: UInt8) {
    precondition(index >= 0 && index < size)
    unsafe base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
  }

  /// Inserts a byte at `index`, which must be less than the size.
  @usableFromInline
  mutating func insert(_ byte: UInt8, at index: Int) {
    precondition(index >= 0 && index < size)
    reserve(1)
    unsafe memmove(base + index + 1, base + index, size - index)
    size += 1
    replace(at: index, with: byte)
  }
}

/// The ASCII digits of a number below 10,000, in memory order.
public struct DecimalDigits {
  /// All four digits, including leading zeros.
  public let all: UInt32
  /// The number of digits without leading zeros; at least one.
  public let count: Int

  @inlinable @inline(__always)
  public init(_ value: UInt32) {
    let high = value / 100
    let low = value &- high &* 100
    let highTens = (high &* 205) >> 11
    let lowTens = (low &* 205) >> 11
    let digits =
      highTens | (high &- highTens &* 10) << 8 | lowTens << 16 | (low &- lowTens &* 10) << 24
    all = (digits | 0x3030_3030).littleEndian
    count = 1 + (value >= 10 ? 1 : 0) + (value >= 100 ? 1 : 0) + (value >= 1_000 ? 1 : 0)
  }

  /// The digits without leading zeros. The bytes after them are undefined.
  @inlinable @inline(__always)
  public var leading: UInt32 {
    (UInt32(littleEndian: all) >> UInt32(truncatingIfNeeded: 8 &* (4 &- count))).littleEndian
  }
}

/// Text of at most 32 bytes that is stored inline, such as the name of a member or an interface, of which a report has hundreds.
public struct ShortText: Sendable, Hashable, ExpressibleByStringLiteral {
  @usableFromInline typealias Bytes = (UInt64, UInt64, UInt64, UInt64)
  @usableFromInline static let room = 32

  @usableFromInline let bytes: Bytes
  @usableFromInline let size: UInt8
  /// Whether the text needs no escapes in JSON.
  @usableFromInline let isPlain: Bool

  /// Creates a short text; nil if `text` is longer than 32 bytes.
  public init?(_ text: String) {
    let characters = text.utf8.span
    guard characters.count <= Self.room else { return nil }
    self.init(characters)
  }

  /// Creates a short text from a literal. Traps if it is too long, which is a programming error.
  public init(stringLiteral text: StaticString) {
    precondition(text.utf8CodeUnitCount <= Self.room, "longer than 32 bytes")
    self = text.withUTF8Buffer { unsafe ShortText($0.span) }
  }

  private init(_ characters: Span<UInt8>) {
    var bytes: Bytes = (0, 0, 0, 0)
    var isPlain = true
    unsafe withUnsafeMutableBytes(of: &bytes) { place in
      for index in characters.indices {
        unsafe place[index] = characters[index]
        if needsEscape(characters[index]) { isPlain = false }
      }
    }
    self.bytes = bytes
    self.isPlain = isPlain
    size = UInt8(truncatingIfNeeded: characters.count)
  }

  @inlinable @inline(__always)
  public var count: Int { Int(size) }

  public var string: String {
    unsafe withUnsafeBytes(of: bytes) { unsafe String(decoding: $0.prefix(count), as: UTF8.self) }
  }

  public static func == (left: ShortText, right: ShortText) -> Bool {
    left.size == right.size && left.bytes == right.bytes
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(size)
    hasher.combine(bytes.0)
    hasher.combine(bytes.1)
  }
}
