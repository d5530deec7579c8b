import Glibc

/// Bytes that are written one after another, in memory that grows.
///
/// An array would do, but asks at each append whether it has another owner: a report of 150 entries took twelve times as
/// long as in plain C that way. Here there is one owner, and every write checks its room once.
@safe
public struct ByteBuffer: ~Copyable {
  /// At least this much is allocated.
  @usableFromInline static let leastCapacity = 256

  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var size = 0

  /// A buffer with room for `capacity` bytes before it has to grow.
  public init(capacity: Int) {
    self.capacity = max(capacity, Self.leastCapacity)
    unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { unsafe base.deallocate() }

  /// What was written so far, copied.
  public var bytes: [UInt8] {
    let (base, size) = unsafe (base, size)
    return unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      if size > 0 {
        unsafe buffer.baseAddress?.update(from: base.assumingMemoryBound(to: UInt8.self), count: size)
      }
      count = size
    }
  }

  /// How many bytes were written so far.
  @inlinable @inline(__always)
  public var count: Int { size }

  /// Makes sure that `count` more bytes fit.
  @inlinable @inline(__always)
  mutating func reserve(_ count: Int) {
    // Neither is negative, and the size is never the larger one.
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
      // Of no bytes there is no address.
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
    // There are three at most, so that the fourth place is the character's.
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
    // Up to 20 digits: the last 16 in fours, after what is before them.
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

/// What writes in room that is there: the caller reserves it, once for all that it puts.
extension ByteBuffer {
  /// Puts the number as it is in memory once it has the byte order that the caller gave it.
  @inlinable @inline(__always)
  mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
    unsafe base.storeBytes(of: number, toByteOffset: size, as: Number.self)
    size &+= MemoryLayout<Number>.size
  }

  /// Puts the text; takes room for 32 bytes, for all of them are copied, and what isn't text is written over.
  @inlinable @inline(__always)
  mutating func put(_ text: ShortText) {
    unsafe base.storeBytes(of: text.bytes, toByteOffset: size, as: ShortText.Bytes.self)
    size &+= text.count
  }

  /// Puts the one to four digits of a number below 10,000; takes room for four.
  @inlinable @inline(__always)
  mutating func putLeading(_ value: UInt32) {
    let digits = DecimalDigits(value)
    put(digits.leading)
    size &-= 4 &- digits.count
  }

  /// Puts four digits, zeros at the beginning included.
  @inlinable @inline(__always)
  mutating func putFour(_ value: UInt32) { put(DecimalDigits(value).all) }

  /// Writes over the byte at `index`, which is there.
  @inlinable @inline(__always)
  mutating func replace(at index: Int, with byte: UInt8) {
    precondition(index >= 0 && index < size)
    unsafe base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
  }

  /// Makes room for a byte at `index`, which is there, and puts it in.
  @usableFromInline
  mutating func insert(_ byte: UInt8, at index: Int) {
    precondition(index >= 0 && index < size)
    reserve(1)
    unsafe memmove(base + index + 1, base + index, size - index)
    size += 1
    replace(at: index, with: byte)
  }
}

/// The digits of a number below 10,000, in the order of memory.
public struct DecimalDigits {
  /// All four digits.
  public let all: UInt32
  /// How many there are without the zeros at the beginning; one at least.
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

  /// The digits without the zeros at the beginning; what follows them is to be written over.
  @inlinable @inline(__always)
  public var leading: UInt32 {
    (UInt32(littleEndian: all) >> UInt32(truncatingIfNeeded: 8 &* (4 &- count))).littleEndian
  }
}

/// Text of at most 32 bytes, held in place: the name of a member or of an interface, of which a report has hundreds.
public struct ShortText: Sendable, Hashable, ExpressibleByStringLiteral {
  @usableFromInline typealias Bytes = (UInt64, UInt64, UInt64, UInt64)
  @usableFromInline static let room = 32

  @usableFromInline let bytes: Bytes
  @usableFromInline let size: UInt8
  /// Whether JSON needs no escape in it.
  @usableFromInline let isPlain: Bool

  /// The text; nil where it is longer than 32 bytes.
  public init?(_ text: String) {
    let characters = text.utf8.span
    guard characters.count <= Self.room else { return nil }
    self.init(characters)
  }

  /// The text of a literal. One that is too long is the program's own mistake, and found at once.
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
