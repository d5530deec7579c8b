import AWSClient
import DefenderAgent
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// Plays the attempts of a clock-skew vector, and sets the clock as the vector says.
private final class SkewedService: HTTPExchange {
  let time: ManualTime
  var attempts: [JSONValue]
  var signingTimes: [String] = []

  init(_ time: ManualTime, _ attempts: [JSONValue]) {
    self.time = time
    self.attempts = attempts
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    guard !attempts.isEmpty else { throw .emptyResponse("more attempts than the vector has") }
    let attempt = attempts.removeFirst()
    signingTimes.append(HTTPResponse(status: 0, headers: request.headers).header("X-Amz-Date") ?? "")
    if let received = attempt["clientTimeAtReceive"]?.string.flatMap({ WallTime(iso8601: $0) }) {
      time.advance(by: time.wallTime.duration(to: received))
    }
    var headers = (attempt["response"]?["headers"]?.members ?? []).map {
      HeaderField(HeaderName($0.name), $0.value.string ?? "")
    }
    if let code = attempt["response"]?["errorCode"]?.string {
      headers.append(HeaderField("x-amzn-errortype", code))
    }
    return HTTPResponse(status: attempt["response"]?["statusCode"]?.integer() ?? 0, headers: headers)
  }
}

struct `Clock skew vectors` {
  @Test(arguments: Vector.all("delivery/clock-skew.jsonl"))
  func `are signed at the expected times`(vector: Vector) throws {
    let time = ManualTime()
    let service = SkewedService(time, [])
    let publisher = try testPublisher(service, time: time)
    for operation in try #require(vector["operations"]?.array) {
      let attempts = try #require(operation["attempts"]?.array)
      service.attempts = attempts
      service.signingTimes = []
      time.wallTime = try #require(attempts[0]["clientTimeAtSend"]?.string.flatMap { WallTime(iso8601: $0) })
      let result = Result { try testPublish(with: publisher, time: time) }
      #expect((try? result.get()) != nil || operation["expectedOutcome"]?.string != "success")
      let expected = attempts.compactMap { $0["expectedSigningTime"]?.string }.compactMap {
        WallTime(iso8601: $0).map { CivilTime($0).basicFormat }
      }
      #expect(service.signingTimes == expected)
      #expect(service.attempts.isEmpty)
    }
  }
}
