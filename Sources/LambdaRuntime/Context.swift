public import Platform
public import WireFormats

/// The metadata of one invocation and the configuration of the function.
///
/// An optional property is nil if the Runtime API didn't send its header or if its environment variable isn't set.
public struct Context: Sendable {
  /// The request ID of the invocation, as it appears in Lambda's own log lines.
  public let requestID: String
  /// When the invocation times out. The latest representable time if the Runtime API sent no valid deadline.
  public let deadline: WallTime
  private let head: ResponseHead
  private let function: FunctionDescription

  init(requestID: String, deadline: WallTime, head: ResponseHead, function: FunctionDescription) {
    self.requestID = requestID
    self.deadline = deadline
    self.head = head
    self.function = function
  }

  /// The ARN that the caller invoked, including the version or alias if the caller specified one.
  public var invokedFunctionARN: String? { head["Lambda-Runtime-Invoked-Function-Arn"] }
  /// The X-Ray trace header, such as `Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1`.
  public var traceID: String? { head["Lambda-Runtime-Trace-Id"] }
  /// The bytes of the trace header. ``ResponseHead`` has rejected control characters, so they contain no NUL.
  var traceBytes: ArraySlice<UInt8>? { head.value("Lambda-Runtime-Trace-Id") }
  /// The client application and device, as the AWS Mobile SDK describes them in JSON.
  public var clientContext: String? { head["Lambda-Runtime-Client-Context"] }
  /// The W3C trace context that the caller sent in the member `w3c` of the client context; nil if there is none. Parsed on each use.
  public var w3cTraceContext: W3CTraceContext? {
    head.value("Lambda-Runtime-Client-Context").flatMap(W3CTraceContext.init)
  }
  /// The Amazon Cognito identity of the caller, as JSON.
  public var cognitoIdentity: String? { head["Lambda-Runtime-Cognito-Identity"] }
  /// The tenant's ID, if the function uses tenant isolation.
  public var tenantID: String? { head["Lambda-Runtime-Aws-Tenant-Id"] }

  /// The function's name (`AWS_LAMBDA_FUNCTION_NAME`).
  public var functionName: String? { function.name }
  /// The function's version (`AWS_LAMBDA_FUNCTION_VERSION`).
  public var functionVersion: String? { function.version }
  /// The memory configured for the function, in megabytes (`AWS_LAMBDA_FUNCTION_MEMORY_SIZE`).
  public var memoryLimitInMegabytes: Int? { function.memoryLimitInMegabytes }
  /// The name of the CloudWatch Logs group (`AWS_LAMBDA_LOG_GROUP_NAME`).
  public var logGroupName: String? { function.logGroupName }
  /// The name of the CloudWatch Logs stream (`AWS_LAMBDA_LOG_STREAM_NAME`).
  public var logStreamName: String? { function.logStreamName }

  /// A log whose lines contain the invocation's request ID, even if another thread writes them after the invocation.
  public var log: Log { function.log.ofInvocation(requestID) }

  /// The time from now until the deadline; zero if the deadline has passed.
  public var remainingTime: Duration { remainingTime(at: .now) }

  /// Returns the time from `now` until the deadline; zero if the deadline has passed.
  public func remainingTime(at now: WallTime) -> Duration {
    max(.zero, now.duration(to: deadline))
  }
}

extension Context {
  /// Creates a context for a unit test of a handler.
  ///
  /// `headers` stands in for the headers of the Runtime API's reply, such as `Lambda-Runtime-Trace-Id`. Throws if a name or a
  /// value isn't valid in an HTTP header. ``log`` writes to `log`; by default to the one that `environment` configures.
  public init(
    requestID: String, deadline: WallTime, headers: [HeaderField] = [],
    environment: Environment = Environment([:]), log: Log? = nil
  ) throws {
    let head = try ResponseHead(fields: headers)
    self.init(
      requestID: requestID, deadline: deadline, head: head,
      function: FunctionDescription(environment, log ?? Log(environment)))
  }
}

extension Context {
  /// Creates a context without headers, for tests.
  package init(requestID: String, deadline: WallTime, environment: Environment, log: Log) {
    self.init(
      requestID: requestID, deadline: deadline, head: ResponseHead(),
      function: FunctionDescription(environment, log))
  }
}

/// The function's configuration, read from the environment. It is the same for all invocations, so their contexts share
/// one instance.
final class FunctionDescription: Sendable {
  let name: String?
  let version: String?
  let memoryLimitInMegabytes: Int?
  let logGroupName: String?
  let logStreamName: String?
  /// The log of the process.
  let log: Log

  init(_ environment: Environment, _ log: Log) {
    self.log = log
    name = environment.value("AWS_LAMBDA_FUNCTION_NAME")
    version = environment.value("AWS_LAMBDA_FUNCTION_VERSION")
    memoryLimitInMegabytes = environment.value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").flatMap { Int($0) }
    logGroupName = environment.value("AWS_LAMBDA_LOG_GROUP_NAME")
    logStreamName = environment.value("AWS_LAMBDA_LOG_STREAM_NAME")
  }
}
