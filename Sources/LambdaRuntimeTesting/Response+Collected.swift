public import LambdaRuntime

extension Response {
  /// Returns the response as the caller receives it. If it is streamed, runs the closure that writes the body.
  ///
  /// Throws the error that the caller receives instead: if the response is too large, or if the closure fails before it has written
  /// anything. Doesn't run the work that ``then(_:)`` added; ``TestRuntime`` does.
  public func collected() throws(InvocationFailure) -> ReceivedResponse {
    guard let stream else {
      if let failure = sizeFailure { throw failure }
      return ReceivedResponse(body, contentType: contentType)
    }
    var received: [UInt8] = []
    let failure = Self.failure(of: stream) { received += $0 }
    if let failure, received.isEmpty { throw failure }
    return ReceivedResponse(received, contentType: contentType, interruption: failure)
  }

  /// Returns the response as the caller receives it, for an asynchronous test. Otherwise the same as the synchronous method.
  ///
  /// The closure that writes the body runs on a separate thread, so it may block or wait for tasks.
  public nonisolated(nonsending) func collected() async throws -> ReceivedResponse {
    let reply = Reply<ReceivedResponse>()
    let response = Transferred(self)
    try startThread {
      let response: Response = response.value
      reply.resume(with: Result { () throws -> ReceivedResponse in try response.collected() })
    }
    return try await reply.value
  }

  /// Runs `stream` with a sink for its bytes. Returns the error that it threw.
  private static func failure(
    of stream: (inout ResponseStream) throws -> Void, _ sink: ([UInt8]) -> Void
  ) -> InvocationFailure? {
    withoutActuallyEscaping(sink) { sink in
      var output = ResponseStream(sink)
      do {
        try stream(&output)
        return nil
      } catch {
        return InvocationFailure(error).received
      }
    }
  }
}

/// Moves a value to another thread. The sender must not use it until the other thread has finished.
private struct Transferred<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) {
    self.value = value
  }
}
