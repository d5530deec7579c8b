import Glibc
import WireFormats

/// The value of a field of a log line.
public enum LogValue: Equatable, Sendable {
  /// A text. A string literal with or without interpolation is one, too.
  case string(String)
  /// An integer, as an integer literal is.
  case integer(Int)
  /// A floating-point number, as a literal with a decimal point is. In JSON, infinity and NaN become `null`.
  case number(Double)
  /// `true` or `false`.
  case boolean(Bool)

  func write(to document: inout JSONWriter) {
    switch self {
    case .string(let text): document.string(text)
    case .integer(let value) where value >= 0: document.integer(UInt64(value))
    case .integer(let value): document.literal("\(value)")
    case .number(let value): document.number(value)
    case .boolean(let value): document.boolean(value)
    }
  }

  /// The value in a text line: a string that could be mistaken for something else is quoted as in JSON.
  var text: String {
    switch self {
    case .string(let text):
      guard text.isEmpty || text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x22 || $0 == 0x3D }) else {
        return text
      }
      var document = JSONWriter()
      document.string(text)
      return String(decoding: document.bytes, as: UTF8.self)
    case .integer(let value): return "\(value)"
    case .number(let value): return "\(value)"
    case .boolean(let value): return "\(value)"
    }
  }
}

extension LogValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral
{
  /// Creates a text.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Creates an integer.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// Creates a floating-point number.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// Creates `true` or `false`.
  public init(booleanLiteral value: Bool) { self = .boolean(value) }
}
