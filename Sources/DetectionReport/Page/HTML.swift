/// A piece of HTML. Literals are markup, and interpolated text is escaped, so text from a report can't become markup.
package struct HTML: ExpressibleByStringInterpolation, Sendable {
  package private(set) var bytes: [UInt8]

  init() { bytes = [] }

  package init(stringLiteral value: StaticString) {
    bytes = value.withUTF8Buffer { unsafe Array($0) }
  }

  package init(stringInterpolation: StringInterpolation) { bytes = stringInterpolation.bytes }

  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var bytes: [UInt8] = []

    package init(literalCapacity: Int, interpolationCount: Int) {
      bytes.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    package mutating func appendLiteral(_ literal: StaticString) {
      literal.withUTF8Buffer { unsafe bytes += $0 }
    }

    package mutating func appendInterpolation(_ text: String) { appendEscaped(text, to: &bytes) }

    package mutating func appendInterpolation(_ number: some FixedWidthInteger) {
      bytes += String(number).utf8
    }

    package mutating func appendInterpolation(_ html: HTML) { bytes += html.bytes }
  }

  static func + (left: HTML, right: HTML) -> HTML {
    var sum = left
    sum += right
    return sum
  }

  static func += (left: inout HTML, right: HTML) { left.bytes += right.bytes }

  /// A coordinate or a percentage, with two decimals at most.
  static func decimal(_ value: Double) -> HTML {
    guard value.isFinite else { return "0" }
    let hundredths = Int((min(max(value, -1e6), 1e6) * 100).rounded())
    let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
    var html: HTML = hundredths < 0 ? "-" : ""
    html += "\(whole)"
    if rest > 0 { html += rest % 10 == 0 ? ".\(rest / 10)" : rest < 10 ? ".0\(rest)" : ".\(rest)" }
    return html
  }
}

extension Sequence<HTML> {
  func joined() -> HTML { reduce(into: HTML()) { $0 += $1 } }
}

/// Appends text so that it is valid as the content of an element and within a quoted attribute.
///
/// Control characters and invisible characters, such as those that reverse the direction of the text, are shown as `\u{202E}`.
func appendEscaped(_ text: String, to bytes: inout [UInt8]) {
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": bytes += "&amp;".utf8
    case "<": bytes += "&lt;".utf8
    case ">": bytes += "&gt;".utf8
    case "\"": bytes += "&quot;".utf8
    case "'": bytes += "&#39;".utf8
    case " "..."~": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
    default:
      if scalar.isInvisible {
        bytes += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".utf8
      } else {
        bytes += UTF8.encode(scalar).map { Array($0) } ?? []
      }
    }
  }
}

extension Unicode.Scalar {
  fileprivate var isInvisible: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate: true
    default: false
    }
  }
}
