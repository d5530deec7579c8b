/// What answers invocations: bytes in, bytes out.
///
/// One value serves all invocations of the process, one at a time and on one thread, so it may keep what is costly
/// to make, and needs no locks.
public protocol Handler: ~Copyable {
  /// Answers one invocation.
  ///
  /// An ``InvocationFailure`` reaches the caller as it is; any other error does so with the name of its type.
  mutating func handle(_ event: Event, _ context: Context) throws -> Response
}

/// What a function is invoked with.
public struct Event: Sendable {
  /// The bytes as the caller sent them, JSON in nearly all cases.
  public let bytes: [UInt8]
  public let contentType: String?

  public init(_ bytes: [UInt8], contentType: String? = nil) {
    self.bytes = bytes
    self.contentType = contentType
  }
}

/// What a function answers.
public struct Response: Sendable {
  public var body: [UInt8]
  public var contentType: String

  public init(_ body: [UInt8], contentType: String) {
    self.body = body
    self.contentType = contentType
  }

  /// A response of bytes that are JSON already.
  public init(json: [UInt8]) {
    self.init(json, contentType: "application/json")
  }
}
