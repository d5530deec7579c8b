import Platform
import WireFormats

/// A request to invoke the function.
package struct InvocationRequest: Sendable {
  package var event: [UInt8]
  package var contentType: String?
  /// The client context as JSON. `X-Amz-Client-Context` contains it in Base64.
  package var clientContext: String?
  /// The caller's identity: JSON with `cognitoIdentityId` and `cognitoIdentityPoolId`.
  package var cognitoIdentity: String?
  /// The X-Ray trace header. By default a new trace that isn't sampled.
  package var traceID = newTraceID(at: .now)
  package var tenantID: String?

  package init(event: [UInt8]) {
    self.event = event
  }
}

/// The result of an invocation as its caller sees it.
package struct InvocationResult: Sendable {
  /// How the invocation failed.
  package enum Failure: Equatable, Sendable {
    /// The function reported an error through `/invocation/…/error`.
    case reported(type: String)
    /// The function couldn't be started, or reported an error before its first poll.
    case initialization(type: String)
    /// The function's process ended.
    case exit
    case timeout
    case responseTooLarge
    case invalidResponseMode
    /// The function reported an error, or its process ended, after a streamed response had begun.
    case stream
    /// The emulator was stopped before the invocation finished.
    case stopped
  }

  package let requestID: String
  /// Nil if the function succeeded.
  package let failure: Failure?
  package let contentType: String?
  /// The response, or the error document.
  package let body: Answer.Body
  /// The log of this invocation; nil if the function handles several invocations at once, because their lines are mixed.
  package var log: InvocationLog?

  /// A result whose body has arrived completely.
  package struct Complete: Sendable {
    /// The response. For a failure other than `stream`, the error document. If a stream failed, the bytes that arrived before that.
    package let body: [UInt8]
    package let failure: Failure?
    /// The error document of a stream that failed after it had begun; nil otherwise.
    package var streamError: [UInt8]?
  }

  /// Waits for the complete body and for the error of a streamed response, which may fail while it is being sent.
  package func complete() async -> Complete {
    switch body {
    case .bytes(let bytes): return Complete(body: bytes, failure: failure)
    case .stream(let pieces):
      var bytes: [UInt8] = []
      var streamError: [UInt8]?
      do {
        for try await piece in pieces {
          switch piece {
          case .bytes(let piece): bytes.append(contentsOf: piece)
          case .trailers(let fields): streamError = StreamTrailers.errorDocument(in: fields)
          }
        }
      } catch {
        streamError = (error as? StreamInterruption)?.document ?? jsonObject(["errorMessage": "\(error)"])
      }
      return Complete(body: bytes, failure: streamError == nil ? failure : .stream, streamError: streamError)
    }
  }
}

/// An invocation that is handed to the runtime.
struct Invocation: Sendable {
  let requestID: String
  /// The value of `Lambda-Runtime-Invocation-Id`, which the answer should repeat.
  let invocationID = randomUUID()
  let functionARN: String
  let request: InvocationRequest
  let deadline: WallTime
}

/// Returns an X-Ray tracing header, `Root=1-<time>-<24 random digits>;Parent=<16 random digits>;Sampled=0`. Time is in seconds
/// since 1970, as 8 hexadecimal digits.
private func newTraceID(at time: WallTime) -> String {
  let seconds = UInt32(truncatingIfNeeded: time.secondsSinceEpoch)
  let digits = hex((0..<4).map { UInt8(truncatingIfNeeded: seconds >> (24 - 8 * $0)) })
  return "Root=1-\(digits)-\(hex(randomBytes(12)));Parent=\(hex(randomBytes(8)));Sampled=0"
}
