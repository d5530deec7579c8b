import Platform
import WireFormats

/// A function URL: passes each HTTP request to the function as an event, and sends the function's response as an HTTP response.
///
/// Behaves as Lambda does in the invoke mode BUFFERED if the function's response is complete, and as in RESPONSE_STREAM if it is streamed. If
/// the response can't be sent over HTTP, the client gets status 502 and the reason, which Lambda doesn't give.
struct FunctionURLEndpoint: Sendable {
  /// The maximum size of a request's body ("Lambda quotas": 6 MB).
  private static let bodyLimit = 6 * 1024 * 1024

  let function: HostedFunction
  let port: Int
  let now: @Sendable () -> WallTime
  let report: @Sendable (EmulatorEvent) -> Void

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    if let refusal = BrowserGuard.refusal(of: request, allowsLocalPages: true) { return refusal }
    let received = try await body.complete(limit: Self.bodyLimit)
    var invocation = InvocationRequest(event: [])
    let event = FunctionURLEvent(
      request: request, body: received.bytes, region: function.configuration.region, port: port,
      requestID: randomUUID(), traceID: invocation.traceID, time: now())
    invocation.event = event.bytes
    guard !received.isCut, invocation.event.count <= InvokeEndpoint.eventLimit else {
      return Answer(
        status: 413,
        object: [
          "message":
            "The request's body of \(received.length) bytes is too large: the event that contains it may have \(InvokeEndpoint.eventLimit) bytes. A body that isn't text becomes a third larger, because the event contains it as Base64. Send a smaller body."
        ])
    }
    let result = await function.environment.invoke(invocation)
    do throws(UnusableResponse) {
      var answer = try await answer(with: result)
      answer.headers.append(HeaderField("x-amzn-RequestId", result.requestID))
      return answer
    } catch {
      let reason = escapingControlCharacters(String(error.reason.prefix(2_000)))
      report(.notice("the function URL answered 502: \(reason)"))
      return Answer(
        status: 502, headers: [HeaderField("x-amzn-RequestId", result.requestID)],
        object: ["message": error.reason])
    }
  }

  private func answer(with result: InvocationResult) async throws(UnusableResponse) -> Answer {
    switch result.body {
    case .bytes(let bytes):
      guard result.failure == nil else { throw Self.failure(bytes) }
      do throws(UnusableResponse) {
        return try FunctionURLResponse.answer(to: bytes)
      } catch {
        throw UnusableResponse(reason: "The function's response can't be sent over HTTP: \(error.reason)")
      }
    case .stream(let pieces):
      guard result.contentType == StreamPrelude.contentType else {
        let type = result.contentType ?? "application/octet-stream"
        return Answer(
          status: 200, headers: [HeaderField(.contentType, type)],
          body: .stream(ResponseBodyStream(pieces, hasPrelude: false).body))
      }
      let stream = ResponseBodyStream(pieces, hasPrelude: true)
      do throws(UnusableResponse) {
        let head = try await stream.head()
        return Answer(status: head.status, headers: head.headers, body: .stream(stream.body))
      } catch {
        throw UnusableResponse(
          reason: "The function's streamed response can't be sent over HTTP: \(error.reason)")
      }
    }
  }

  /// Returns the error of a failed invocation, with what the function reported.
  private static func failure(_ document: [UInt8]) -> UnusableResponse {
    let error = try? JSONValue(parsing: document)
    let type = error?["errorType"]?.string ?? "Runtime.Unknown"
    let message = error?["errorMessage"]?.string ?? ""
    return UnusableResponse(
      reason: "The function failed: \(type)\(message.isEmpty ? "" : ": \(message)")")
  }
}

/// The body of a streamed response, without its prelude.
///
/// If the function fails after the response has begun, the client's connection is closed before the body ends.
private struct ResponseBodyStream: Sendable {
  private typealias Head = Result<FunctionURLResponseHead, UnusableResponse>

  /// The body's pieces.
  let body: AsyncThrowingStream<Answer.Piece, any Error>
  private let heads: AsyncStream<Head>

  init(_ pieces: AsyncThrowingStream<Answer.Piece, any Error>, hasPrelude: Bool) {
    let (body, continuation) = AsyncThrowingStream.makeStream(of: Answer.Piece.self)
    let (heads, headContinuation) = AsyncStream.makeStream(of: Head.self)
    let task = Task {
      var prelude = hasPrelude ? StreamPrelude() : nil
      do {
        for try await piece in pieces {
          switch piece {
          case .trailers(let fields):
            throw StreamInterruption(document: StreamTrailers.errorDocument(in: fields))
          case .bytes(let bytes):
            if let begun = try prelude?.append(bytes) {
              prelude = nil
              headContinuation.yield(.success(begun.head))
              if !begun.rest.isEmpty { continuation.yield(.bytes(begun.rest)) }
            } else if prelude == nil {
              continuation.yield(.bytes(bytes))
            }
          }
        }
        if let prelude { throw prelude.endError }
        continuation.finish()
      } catch {
        let interruption = (error as? StreamInterruption)?.document
        let reason =
          (error as? UnusableResponse)
          ?? UnusableResponse(
            reason:
              "it ended with an error: \(String(decoding: (interruption ?? []).prefix(1_000), as: UTF8.self))"
          )
        headContinuation.yield(.failure(reason))
        continuation.finish(throwing: error)
      }
      headContinuation.finish()
    }
    // The client may close its connection before the end.
    continuation.onTermination = { reason in
      if case .cancelled = reason { task.cancel() }
    }
    self.body = body
    self.heads = heads
  }

  /// Waits for the prelude.
  func head() async throws(UnusableResponse) -> FunctionURLResponseHead {
    for await head in heads { return try head.get() }
    throw UnusableResponse(reason: "it ended before its prelude.")
  }
}
