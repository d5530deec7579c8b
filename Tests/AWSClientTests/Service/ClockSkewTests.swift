import AWSClient
import HTTPClient
import Platform
import Testing
import WireFormats

struct `The date of a response` {
  @Test(
    arguments: [
      ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
      ("Thu, 31 Dec 2026 23:59:59 GMT", 1_798_761_599), ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
    ] as [(String, Int64)])
  func `is read`(text: String, seconds: Int64) {
    #expect(WallTime(httpDate: text)?.secondsSinceEpoch == seconds)
  }

  @Test(arguments: [
    "", "GMT", "Thu, 01 Jan 1970 00:00:00 GM", "Thu, 01 Jan 1970 00:00:00 GMT ",
    "Thu, 01 Jan 1970 00:00:00 UTC",
    "Thu, 1 Jan 1970 00:00:00 GMT", "Thu; 01 Jan 1970 00:00:00 GMT", "Thu, 0x Jan 1970 00:00:00 GMT",
    "Thu, 01 Foo 1970 00:00:00 GMT", "Thu, 32 Jan 1970 00:00:00 GMT", "Fri, 30 Feb 2024 00:00:00 GMT",
    "Thu, 01 Jan 1970 24:00:00 GMT", "Thu, 01 Jan 1970 00:60:00 GMT", "Thu, 01 Jan 1970 00:00:61 GMT",
    "Thursday, 01-Jan-70 00:00:00 GMT", "Thu, 01 Jän 1970 00:00:00 GM", "Thu, 01 Jan -970 00:00:00 GMT",
  ])
  func `is nil in any other format`(text: String) {
    #expect(WallTime(httpDate: text) == nil)
  }

  @Test func `counts only if no cache served the response and it arrived soon`() {
    let sent = WallTime(secondsSinceEpoch: 0)
    func offset(_ headers: [HeaderField], after duration: Duration) -> Duration {
      var skew = ClockSkew()
      skew.observe(HTTPResponse(status: 200, headers: headers), sent: sent, duration: duration)
      return skew.offset
    }
    let date = HeaderField("Date", "Thu, 01 Jan 1970 01:00:00 GMT")
    #expect(offset([date], after: .zero) == .seconds(3_600))
    #expect(offset([date], after: .seconds(20)) == .seconds(3_590))
    #expect(offset([date, HeaderField("Age", "0")], after: .zero) == .zero)
    #expect(offset([date], after: .seconds(900)) == .seconds(3_150))
    #expect(offset([date], after: .seconds(901)) == .zero)
    #expect(offset([date], after: .seconds(-1)) == .zero)
    #expect(offset([], after: .zero) == .zero)
  }

  /// The skew in seconds, the offset that signed the request, and whether the change explains a rejection.
  @Test(arguments: [
    (239, 0, false), (240, 0, true), (-239, 0, false), (-240, 0, true), (600, 600, false), (600, 361, false),
    (600, 360, true), (-600, -360, true), (-600, -361, false),
  ])
  func `explains a rejection if the offset changed by four minutes or more`(
    seconds: Int64, used: Int64, explains: Bool
  ) throws {
    let sent = WallTime(secondsSinceEpoch: 86_400)
    let date = CivilTime(sent.advanced(by: .seconds(seconds)))
    let (hour, minute, second) = (date.hour, date.minute, date.second)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let day = seconds < 0 ? "Thu, 01" : "Fri, 02"
    let text = "\(day) Jan 1970 \(two(hour)):\(two(minute)):\(two(second)) GMT"
    let response = HTTPResponse(
      status: 403,
      headers: [HeaderField("Date", text), HeaderField("x-amzn-errortype", "ForbiddenException")])
    var skew = ClockSkew()
    skew.observe(response, sent: sent, duration: .zero)
    #expect(skew.offset == .seconds(seconds))
    #expect(skew.explains(ServiceError(response), response, used: .seconds(used)) == explains)
    #expect((skew.warning != nil) == (abs(seconds) >= 240))
    let undated = HTTPResponse(status: 403, headers: [HeaderField("x-amzn-errortype", "RequestExpired")])
    #expect(!skew.explains(ServiceError(undated), undated, used: .zero))
  }

  @Test(arguments: [
    "", "Thu, 01 Jan 2026 00:05:01", "Thu, 01 Jan 99999999999999999999 00:05:01 GMT",
    "Thu, 01 Jan 2026 0:5 GMT",
    "Thu, 01 Jan 2026 -1:05:01 GMT", "2026-01-01T00:05:01Z", "1 2 3 4 5 6",
  ])
  func `changes nothing if it can't be parsed`(date: String) {
    var skew = ClockSkew()
    skew.observe(
      HTTPResponse(status: 200, headers: [HeaderField("Date", date)]), sent: WallTime(secondsSinceEpoch: 0),
      duration: .zero)
    #expect(skew.offset == .zero)
    #expect(skew.warning == nil)
  }
}
