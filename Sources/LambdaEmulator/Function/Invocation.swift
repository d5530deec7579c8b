import Platform
import WireFormats

/// What somebody wants the function to be invoked with.
package struct InvocationRequest: Sendable {
  package var event: [UInt8]
  package var contentType: String?
  /// JSON, as `X-Amz-Client-Context` carries it in Base64.
  package var clientContext: String?
  /// JSON with `cognitoIdentityId` and `cognitoIdentityPoolId`.
  package var cognitoIdentity: String?
  /// The X-Ray trace header: a new trace, which isn't sampled, where the caller has none.
  package var traceID = newTraceID(at: .now)
  package var tenantID: String?

  package init(event: [UInt8]) {
    self.event = event
  }
}

/// What came of an invocation, for its caller.
package struct InvocationResult: Sendable {
  /// How the function failed.
  package enum Failure: Equatable, Sendable {
    /// It said so itself, through `/error`.
    case reported(type: String)
    /// It couldn't be started, or told of a failure before its first poll.
    case initialization(type: String)
    /// Its process ended.
    case exit
    case timeout
    case responseTooLarge
    case invalidResponseMode
    /// It failed, or its process ended, after it had begun to answer.
    case stream
    /// The emulator was stopped first.
    case stopped
  }

  package let requestID: String
  /// nil where the function answered.
  package let failure: Failure?
  package let contentType: String?
  /// The response, or the error document.
  package let body: Answer.Body

  /// What came of the invocation once all of the body has come; a streamed one may fail on the way.
  package func complete() async -> (body: [UInt8], failure: Failure?) {
    switch body {
    case .bytes(let bytes): return (bytes, failure)
    case .stream(let pieces):
      var bytes: [UInt8] = []
      var failure = failure
      do {
        for try await piece in pieces {
          switch piece {
          case .bytes(let piece): bytes.append(contentsOf: piece)
          case .trailers: failure = .stream
          }
        }
      } catch {
        failure = .stream
      }
      return (bytes, failure)
    }
  }
}

/// One invocation on its way through the runtime.
struct Invocation: Sendable {
  let requestID: String
  let functionARN: String
  let request: InvocationRequest
  let deadline: WallTime
}

/// `Root=1-<8 digits of time>-<24 random digits>;Parent=<16 random digits>;Sampled=0` (X-Ray's tracing header).
private func newTraceID(at time: WallTime) -> String {
  let seconds = UInt32(truncatingIfNeeded: time.secondsSinceEpoch)
  let digits = hex((0..<4).map { UInt8(truncatingIfNeeded: seconds >> (24 - 8 * $0)) })
  return "Root=1-\(digits)-\(hex(randomBytes(12)));Parent=\(hex(randomBytes(8)));Sampled=0"
}
