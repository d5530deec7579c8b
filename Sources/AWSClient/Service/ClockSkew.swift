package import HTTPClient
package import Platform
import WireFormats

/// By how much this machine's clock differs from the service's, learnt from the `Date` of its answers.
///
/// The rules that the AWS SDKs agreed on in 2026: every answer with a `Date` counts, unless a cache gave it (`Age`)
/// or it took so long that the middle of the exchange says nothing. The system's clock is never set.
package struct ClockSkew: Sendable {
  /// What is added to the clock before a request is signed; positive where the clock is behind.
  package private(set) var offset: Duration = .zero

  package init() {}

  /// Learns from an answer to a request sent at `sent` that took `duration`.
  package mutating func observe(_ response: HTTPResponse, sent: WallTime, duration: Duration) {
    guard
      let date = response.header(.date).flatMap({ WallTime(httpDate: $0) }), response.header(.age) == nil,
      duration >= .zero, duration <= .seconds(900)
    else { return }
    offset = sent.advanced(by: duration / 2).duration(to: date)
  }

  /// Whether a refusal is the clock's doing, so that the same request signed anew may pass.
  ///
  /// `used` is the offset that the refused request was signed with. AWS IoT gives one code to every refusal, so with
  /// most codes it depends on whether the offset has turned out to be another one by 4 min or more; services allow 5.
  package func explains(_ error: ServiceError, _ response: HTTPResponse, used: Duration) -> Bool {
    guard let code = error.code, response.header(.date) != nil, response.header(.age) == nil else {
      return false
    }
    if definiteCodes.contains(code) { return true }
    let change = offset - used
    return possibleCodes.contains(code) && (change >= Self.threshold || change <= .zero - Self.threshold)
  }

  /// From here on, signatures are in danger.
  package static let threshold: Duration = .seconds(240)

  /// A sentence about a clock that is wrong by ``threshold`` or more; nil about any other.
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
  /// Reads `Thu, 01 Jan 2026 00:05:01 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
  package init?(httpDate text: String) {
    // By place: splitting the text at its blanks took a twentieth of a publish.
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

/// A letter for each `a`, a digit for each `0`, and the rest as it is.
private let dateShape = Array("aaa, 00 aaa 0000 00:00:00 GMT".utf8)

private let monthNames = [
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
]
