/// The scale on which learned baselines compare values: 256 times the binary logarithm, rounded down. A difference of 256 is a
/// factor of two.
///
/// It uses integers only, so its results are the same on every architecture and with every libm.
enum LogarithmicScale: Equatable, Sendable {
  /// 256 · log2(count + 2^n) - 256 · n, with n = `exponent`. Differences between counts below 2^n have little effect.
  case count(exponent: Int)
  /// 256 · log2(1 + |number|), with the sign of the number.
  case number

  /// The distance between a value and twice the value.
  static let octave = 256
  /// The largest absolute value of a number on the scale, that of 2^63 and more.
  private static let limit = 63 * octave

  /// Returns the scale of a metric.
  init(of metric: Metric) {
    switch metric {
    case .device(.bytesIn), .device(.bytesOut): self = .count(exponent: 12)
    case .device(.packetsIn), .device(.packetsOut): self = .count(exponent: 4)
    case .device: self = .count(exponent: 2)
    case .custom: self = .number
    }
  }

  /// Whether a value below the usual ones is unusual, too. For counts it isn't, because a device may be idle at any time.
  var hasLowerLimit: Bool { self == .number }

  /// Whether the values are counts, not the numbers of custom metrics.
  var isOfCounts: Bool { self != .number }

  /// Returns the position of a count, which is at least 0, or of a number. Nil for NaN.
  func position(_ count: UInt64, _ number: Double) -> Int? {
    switch self {
    case .count(let exponent):
      let sum = min(count, UInt64(1) << 63) + UInt64(1) << UInt64(exponent)
      let shift = sum.leadingZeroBitCount
      return Self.octave * (63 - shift - exponent) + Self.fraction(sum << UInt64(shift))
    case .number:
      guard !number.isNaN else { return nil }
      let sum = 1 + number.magnitude
      var position = Self.limit
      if sum < 0x1p63 {
        let significand = (UInt64(1) << 52 | sum.significandBitPattern) << 11
        position = Self.octave * Int(sum.exponent) + Self.fraction(significand)
      }
      return number < 0 ? -position : position
    }
  }

  /// Returns 256 · log2(count), rounded down; `count` is at least 1.
  static func logarithm(of count: UInt64) -> Int {
    let shift = count.leadingZeroBitCount
    return octave * (63 - shift) + fraction(count << UInt64(shift))
  }

  /// Returns 256 · log2(number), rounded down; `number` is positive, normal and finite.
  static func logarithm(of number: Double) -> Int {
    octave * Int(number.exponent) + fraction((UInt64(1) << 52 | number.significandBitPattern) << 11)
  }

  /// Returns 256 · log2(`significand` / 2^63), rounded down; `significand` is at least 2^63.
  ///
  /// Squares the significand eight times. Squaring doubles the logarithm, so the integer part of the result is the next binary
  /// digit. With 128 bits, the error is far smaller than the distance between any 64-bit number and a power of 2^(1/256).
  private static func fraction(_ significand: UInt64) -> Int {
    guard significand != UInt64(1) << 63 else { return 0 }
    var power = UInt128(significand) << 64
    var digits = 0
    for _ in 0..<8 {
      let square = power.multipliedFullWidth(by: power)
      if square.high >> 127 == 1 {
        power = square.high
        digits = digits << 1 | 1
      } else {
        power = square.high << 1 | square.low >> 127
        digits <<= 1
      }
    }
    return digits
  }
}
