import Platform

/// How an invocation ended from the point of view of the execution environment.
enum Outcome: Sendable {
  /// The maximum size of a buffered response in bytes: 6 MiB and 100 bytes.
  static let responseLimit = 6_291_556
  /// The error type of a streamed response that isn't complete.
  static let truncated = "Runtime.TruncatedResponse"

  case response([UInt8], contentType: String?)
  /// The streamed response has ended, with an error if `errorType` isn't nil.
  case streamed(errorType: String?)
  /// The streamed response exceeded the maximum size.
  case streamTooLong
  /// The runtime closed the connection before the end of its streamed response.
  case streamCutShort
  case error([UInt8], type: String, contentType: String?)
  case initError([UInt8], type: String)
  case notStarted(LaunchError)
  case exited(ProcessStatus)
  case timedOut
  case responseTooLarge
  case invalidResponseMode
  case stopped

  /// Returns the result for the caller, with the same messages as Lambda.
  func result(of invocation: Invocation, _ function: FunctionConfiguration) -> InvocationResult {
    func failure(_ failure: InvocationResult.Failure, _ type: String, _ message: String) -> InvocationResult {
      InvocationResult(
        requestID: invocation.requestID, failure: failure, contentType: "application/json",
        body: .bytes(jsonObject(["errorType": type, "errorMessage": message])))
    }
    let prefix = "RequestId: \(invocation.requestID) Error:"
    switch self {
    case .response(let body, let contentType):
      return InvocationResult(
        requestID: invocation.requestID, failure: nil, contentType: contentType, body: .bytes(body))
    case .error(let document, let type, let contentType):
      return InvocationResult(
        requestID: invocation.requestID, failure: .reported(type: type), contentType: contentType,
        body: .bytes(document))
    case .initError(let document, let type):
      return InvocationResult(
        requestID: invocation.requestID, failure: .initialization(type: type),
        contentType: "application/json", body: .bytes(document))
    case .notStarted(let error):
      let type = "Runtime.InvalidEntrypoint"
      return failure(.initialization(type: type), type, "\(prefix) \(error)")
    case .exited(.code(0)):
      return failure(.exit, "Runtime.ExitError", "\(prefix) Runtime exited without providing a reason")
    case .exited(let status):
      return failure(.exit, "Runtime.ExitError", "\(prefix) Runtime exited with error: \(status)")
    case .timedOut:
      let seconds = twoDecimals(function.timeout.inSeconds)
      return failure(.timeout, "Sandbox.Timedout", "\(prefix) Task timed out after \(seconds) seconds")
    case .responseTooLarge:
      let limit = Self.responseLimit
      return failure(
        .responseTooLarge, "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size (\(limit) bytes).")
    case .invalidResponseMode:
      return failure(
        .invalidResponseMode, "Runtime.InvalidResponseModeHeader", "\(prefix) Invalid function response mode")
    case .streamTooLong:
      return failure(
        .stream, Self.truncated, "\(prefix) The streamed response exceeded the maximum size of 200 MiB.")
    case .streamCutShort:
      return failure(
        .stream, Self.truncated, "\(prefix) The runtime closed the connection before the end of its response."
      )
    case .streamed, .stopped:
      // The caller of a streamed invocation already has its response, so this result is not used.
      return failure(.stopped, "Runtime.Unknown", "\(prefix) The emulator was stopped.")
    }
  }

  /// What the emulator's user can do about the failure; nil if the error itself says that.
  var advice: String? {
    guard case .initError(_, type: "Runtime.UnknownHandler") = self else { return nil }
    return "Select one of the program's handlers with --handler NAME."
  }

  /// Returns the error that interrupts a streamed response that had already begun.
  func interruption(of invocation: Invocation, _ function: FunctionConfiguration) -> StreamInterruption {
    guard case .bytes(let document) = result(of: invocation, function).body else {
      return StreamInterruption(document: jsonObject(["errorType": Self.truncated]))
    }
    return StreamInterruption(document: document)
  }
}
