package import HTTPClient
package import Platform
import WireFormats

/// The difference between this machine's clock and AWS's, learned from the `Date` header of responses.
///
/// Follows the rules that the AWS SDKs agreed on in 2026: every response with a `Date` counts, unless it came from a
/// cache (`Age`) or the exchange took so long that its midpoint means nothing. Never sets the system clock.
package struct ClockSkew: Sendable {
  /// The duration to add to the clock before signing a request; positive if the clock is behind.
  package private(set) var offset: Duration = .zero

  package init() {}

  /// Updates ``offset`` from the response to a request that was sent at `sent` and took `duration`.
  package mutating func observe(_ response: HTTPResponse, sent: WallTime, duration: Duration) {
    guard
      let date = response.header(.date).flatMap({ WallTime(httpDate: $0) }), response.header(.age) == nil,
      duration >= .zero, duration <= .seconds(900)
    else { return }
    offset = sent.advanced(by: duration / 2).duration(to: date)
  }

  /// Returns whether a wrong clock explains `error`, so that the same request may succeed when signed again.
  ///
  /// `used` is the offset that the rejected request was signed with. Some codes always mean a wrong clock. Others, such
  /// as AWS IoT's single code for every refusal, count only if the offset has changed by 4 min or more since; services
  /// allow 5 min.
  package func explains(_ error: ServiceError, _ response: HTTPResponse, used: Duration) -> Bool {
    guard let code = error.code, response.header(.date) != nil, response.header(.age) == nil else {
      return false
    }
    if definiteCodes.contains(code) { return true }
    let change = offset - used
    return possibleCodes.contains(code) && (change >= Self.threshold || change <= .zero - Self.threshold)
  }

  /// The clock difference to react to; AWS rejects signatures that are off by more than 5 min.
  package static let threshold: Duration = .seconds(240)

  /// A warning if the clock is off by ``threshold`` or more; nil otherwise.
  package var warning: String? {
    let size = offset < .zero ? .zero - offset : offset
    guard size >= Self.threshold else { return nil }
    let seconds = size.components.seconds
    let span = "\(seconds / 3_600) h \(seconds / 60 % 60) min \(seconds % 60) s"
    return "this machine's clock is \(span) \(offset < .zero ? "ahead of" : "behind") AWS's; "
      + "signatures are dated by AWS's clock. Set the clock (NTP)."
  }
}

private let definiteCodes: Set<String> = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"]

private let possibleCodes: Set<String> = [
  "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "ForbiddenException",
]

extension WallTime {
  /// Parses an HTTP date such as `Thu, 01 Jan 2026 00:05:01 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
  package init?(httpDate text: String) {
    // Parse by position: splitting the text at its spaces took a twentieth of a publish.
    let bytes = Array(text.utf8)
    guard bytes.count == dateShape.count else { return nil }
    for (byte, shape) in zip(bytes, dateShape) {
      switch shape {
      case UInt8(ascii: "a"): break
      case UInt8(ascii: "0"):
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      default: guard byte == shape else { return nil }
      }
    }
    func number(_ places: Range<Int>) -> Int {
      bytes[places].reduce(0) { $0 * 10 + Int($1) - Int(UInt8(ascii: "0")) }
    }
    guard let month = monthNames.firstIndex(where: { bytes[8..<11].elementsEqual($0.utf8) }) else {
      return nil
    }
    self.init(
      year: number(12..<16), month: month + 1, day: number(5..<7), hour: number(17..<19),
      minute: number(20..<22), second: number(23..<25))
  }
}

/// The layout of an HTTP date: `a` stands for any byte, `0` for a digit, and every other character for itself.
private let dateShape = Array("aaa, 00 aaa 0000 00:00:00 GMT".utf8)

private let monthNames = [
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
]
