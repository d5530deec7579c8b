public import LambdaRuntime

extension Response {
  /// Creates a response that is sent while the asynchronous `write` produces it. Otherwise the same as the synchronous one.
  ///
  /// ``ResponseStream/write(_:)`` itself blocks the thread of the runtime while the caller reads slowly.
  public init(
    streaming contentType: String, _ write: @escaping (inout ResponseStream) async throws -> Void
  ) {
    self.init(streaming: contentType) { stream in try stream.run(write) }
  }

  /// Creates a streamed response to an HTTP request from a function URL, whose body the asynchronous `write` produces.
  public init(
    streaming prelude: HTTPPrelude, _ write: @escaping (inout ResponseStream) async throws -> Void
  ) {
    self.init(streaming: prelude) { stream in try stream.run(write) }
  }

  /// Returns this response with asynchronous work that runs after it was sent. Otherwise the same as the synchronous one.
  ///
  /// The task is cancelled shortly before the deadline, and when the process is asked to stop.
  ///
  /// ```swift
  /// return Response(json: answer).then { try await statistics.send() }
  /// ```
  public func then(_ work: @escaping () async throws -> Void) -> Response {
    then { try RuntimeThread.current.runUntilDeadline(work) }
  }
}

extension ResponseStream {
  fileprivate mutating func run(_ write: @escaping (inout ResponseStream) async throws -> Void) throws {
    try unsafe withUnsafeMutablePointer(to: &self) { stream in
      // The pointer is valid, because this waits for the task.
      try RuntimeThread.current.runUntilDeadline { try await unsafe write(&stream.pointee) }
    }
  }
}
