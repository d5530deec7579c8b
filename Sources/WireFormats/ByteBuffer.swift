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

  /// Makes sure that `count` more bytes fit.
  @inlinable @inline(__always)
  mutating func reserve(_ count: Int) {
    if capacity - size < count { grow(by: count) }
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
    unsafe base.storeBytes(of: byte, toByteOffset: size, as: UInt8.self)
    size += 1
  }

  /// Appends the number as it is in memory once it has the byte order that the caller gave it.
  @inlinable @inline(__always)
  public mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(bytesOf number: Number) {
    reserve(MemoryLayout<Number>.size)
    unsafe base.storeBytes(of: number, toByteOffset: size, as: Number.self)
    size += MemoryLayout<Number>.size
  }

  @inlinable @inline(__always)
  public mutating func append(_ text: ShortText) {
    // All of it is copied, and what isn't text is written over.
    reserve(ShortText.room)
    unsafe base.storeBytes(of: text.bytes, toByteOffset: size, as: ShortText.Bytes.self)
    size += text.count
  }

  /// Appends `"text"`.
  @inlinable @inline(__always)
  mutating func append(quoted text: ShortText) {
    reserve(ShortText.room + 2)
    unsafe base.storeBytes(of: UInt8(ascii: "\""), toByteOffset: size, as: UInt8.self)
    unsafe base.storeBytes(of: text.bytes, toByteOffset: size + 1, as: ShortText.Bytes.self)
    size += text.count + 2
    unsafe base.storeBytes(of: UInt8(ascii: "\""), toByteOffset: size - 1, as: UInt8.self)
  }

  /// Appends `"text":`, after a comma where one `needsComma`.
  @inlinable @inline(__always)
  mutating func append(member text: ShortText, needsComma: Bool) {
    reserve(ShortText.room + 4)
    unsafe base.storeBytes(of: UInt8(ascii: ","), toByteOffset: size, as: UInt8.self)
    size += needsComma ? 1 : 0
    unsafe base.storeBytes(of: UInt8(ascii: "\""), toByteOffset: size, as: UInt8.self)
    unsafe base.storeBytes(of: text.bytes, toByteOffset: size + 1, as: ShortText.Bytes.self)
    size += text.count + 3
    // `":` in the byte order of memory.
    unsafe base.storeBytes(of: UInt16(0x3A22).littleEndian, toByteOffset: size - 2, as: UInt16.self)
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
    if value < 10_000 {
      reserve(4)
      appendLeading(UInt32(truncatingIfNeeded: value))
    } else {
      append(longDecimal: value)
    }
  }

  @inlinable
  mutating func append(longDecimal value: UInt64) {
    reserve(20)
    if value < 100_000_000 {
      let small = UInt32(truncatingIfNeeded: value)
      appendLeading(small / 10_000)
      appendFour(small % 10_000)
      return
    }
    // Up to 20 digits: the last 16 in fours, after what is before them.
    let eight = UInt64(100_000_000)
    append(decimal: value / eight)
    let rest = UInt32(truncatingIfNeeded: value % eight)
    reserve(8)
    appendFour(rest / 10_000)
    appendFour(rest % 10_000)
  }

  /// Appends the one to four digits of a number below 10,000, in room that is there.
  @inlinable @inline(__always)
  mutating func appendLeading(_ value: UInt32) {
    let digits = DecimalDigits(value)
    unsafe base.storeBytes(of: digits.leading, toByteOffset: size, as: UInt32.self)
    size += digits.count
  }

  /// Appends four digits, zeros at the beginning included, in room that is there.
  @inlinable @inline(__always)
  mutating func appendFour(_ value: UInt32) {
    unsafe base.storeBytes(of: DecimalDigits(value).all, toByteOffset: size, as: UInt32.self)
    size += 4
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
