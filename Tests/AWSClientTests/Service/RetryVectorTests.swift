import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

private func vectors(_ kind: String) -> [Vector] {
  Vector.all("delivery/retry.jsonl").filter { $0["kind"]?.string == kind }
}

private func seconds(_ value: JSONValue?) throws -> Double { try #require(value?.double) }

struct `Retry vectors` {
  @Test func `are all there`() throws {
    #expect(try fixtureLines("delivery/retry.jsonl").count == 48)
    #expect(try fixtureLines("delivery/clock-skew.jsonl").count == 5)
  }

  @Test(arguments: vectors("classify"))
  func `say which failures justify a retry`(vector: Vector) throws {
    let isRetryable = vector["expected", "retryable"]?.boolean
    if vector["transport_error"]?.string != nil {
      #expect(HTTPError.timedOut(.answering, "").isTransient == isRetryable)
      return
    }
    let headers = (vector["headers"]?.members ?? []).map {
      HeaderField(HeaderName($0.name), $0.value.string ?? "")
    }
    let error = ServiceError(
      HTTPResponse(
        status: try #require(vector["status"]?.integer()), headers: headers,
        body: Array((vector["body"]?.string ?? "").utf8)))
    #expect(error.code ?? "\(error.status)" == vector["expected", "code"]?.string)
    #expect((error.retryReason != nil) == isRetryable)
    #expect((error.retryReason == .throttling) == vector["expected", "throttling"]?.boolean)
  }

  @Test func `differ for a 429 without a code, which counts as throttling`() {
    #expect(ServiceError(HTTPResponse(status: 429)).retryReason == .throttling)
  }

  @Test(arguments: vectors("backoff") + vectors("retry-after"))
  func `say how long to wait`(vector: Vector) throws {
    let reason: RetryReason = vector["throttling"]?.boolean == true ? .throttling : .transient
    let delay = StandardRetry.delay(
      afterAttempt: try #require(vector["failed_attempt"]?.integer()), reason,
      random: try seconds(vector["random"]), retryAfter: vector["header"]?.string)
    #expect(abs(delay.inSeconds - (try seconds(vector["expected_delay_s"]))) < 1e-9)
  }

  @Test(arguments: vectors("quota"))
  func `say when the retry quota is exhausted`(vector: Vector) throws {
    var quota = RetryQuota(capacity: try #require(vector["capacity"]?.integer()))
    for call in try #require(vector["expected"]?.array) {
      var attempts = 0
      var lastCost: Int?
      for outcome in call["script"]?.string ?? "" {
        attempts += 1
        if outcome == "S" {
          quota.giveBack(lastCost)
          break
        }
        guard outcome != "N", attempts < StandardRetry.maximumAttempts else { break }
        guard let cost = quota.take(for: outcome == "H" ? .throttling : .transient) else { break }
        lastCost = cost
      }
      #expect(attempts == call["attempts_made"]?.integer())
      #expect(quota.capacity == call["capacity_after"]?.integer())
    }
  }
}

struct `A retry quota` {
  @Test(arguments: [(RetryReason.throttling, 5), (.transient, 14)])
  func `allows a retry that costs the whole quota, and rejects one that costs more`(
    reason: RetryReason, cost: Int
  ) {
    var exact = RetryQuota(capacity: cost)
    #expect(exact.take(for: reason) == cost)
    #expect(exact.capacity == 0)
    var short = RetryQuota(capacity: cost - 1)
    #expect(short.take(for: reason) == nil)
    #expect(short.capacity == cost - 1)
  }

  @Test func `never exceeds its initial size`() {
    var quota = RetryQuota(capacity: 20)
    quota.giveBack(nil)
    #expect(quota.capacity == 20)
    #expect(quota.take(for: .throttling) == 5)
    quota.giveBack(14)
    #expect(quota.capacity == 20)
  }
}

struct `A retry delay` {
  @Test func `doubles up to 20 s`() {
    let delays = (1...40).map { StandardRetry.delay(afterAttempt: $0, .throttling, random: 1) }
    #expect(
      delays.prefix(6) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16), .seconds(20)])
    #expect(delays.dropFirst(5).allSatisfy { $0 == .seconds(20) })
  }

  @Test(arguments: [
    ("3000", 3.0), ("6000", 6), ("6001", 6), ("99999999999999999999", 6), ("1", 1), ("-1", 1),
  ])
  func `follows x-amz-retry-after up to 5 s beyond its own delay`(wish: String, seconds: Double) {
    let delay = StandardRetry.delay(afterAttempt: 1, .throttling, random: 1, retryAfter: wish)
    #expect(delay == .seconds(seconds))
  }

  @Test(arguments: [(0, -1.0), (-5, 2.0), (Int.max, 1.0), (1, .nan), (1, .infinity)])
  func `stays within its bounds for any input`(attempt: Int, random: Double) {
    for reason in [RetryReason.transient, .throttling] {
      let delay = StandardRetry.delay(afterAttempt: attempt, reason, random: random, retryAfter: "")
      #expect(delay >= .zero && delay <= .seconds(20))
    }
  }
}
