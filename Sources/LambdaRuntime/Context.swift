public import Platform
public import WireFormats

/// What Lambda tells about an invocation and about the function.
public struct Context: Sendable {
  /// The id of the invocation, as it stands in Lambda's own log lines.
  public let requestID: String
  /// When Lambda ends the invocation; the last moment that can be told where the Runtime API gave none.
  public let deadline: WallTime
  private let head: ResponseHead
  private let function: FunctionDescription

  init(requestID: String, deadline: WallTime, head: ResponseHead, function: FunctionDescription) {
    self.requestID = requestID
    self.deadline = deadline
    self.head = head
    self.function = function
  }

  /// The ARN by which the function was invoked: with the version or the alias, where the caller named one.
  public var invokedFunctionARN: String? { head["Lambda-Runtime-Invoked-Function-Arn"] }
  /// The X-Ray trace header, such as `Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1`.
  public var traceID: String? { head["Lambda-Runtime-Trace-Id"] }
  /// The bytes of the trace header; no field of a head holds a control character.
  var traceBytes: ArraySlice<UInt8>? { head.value("Lambda-Runtime-Trace-Id") }
  /// What a mobile SDK told about its application and device, as JSON.
  public var clientContext: String? { head["Lambda-Runtime-Client-Context"] }
  /// The Amazon Cognito identity that invoked the function, as JSON.
  public var cognitoIdentity: String? { head["Lambda-Runtime-Cognito-Identity"] }
  /// Whose invocation it is, for a function with tenant isolation.
  public var tenantID: String? { head["Lambda-Runtime-Aws-Tenant-Id"] }

  /// `AWS_LAMBDA_FUNCTION_NAME`
  public var functionName: String? { function.name }
  /// `AWS_LAMBDA_FUNCTION_VERSION`
  public var functionVersion: String? { function.version }
  /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, in megabytes.
  public var memoryLimitInMegabytes: Int? { function.memoryLimitInMegabytes }
  /// `AWS_LAMBDA_LOG_GROUP_NAME`
  public var logGroupName: String? { function.logGroupName }
  /// `AWS_LAMBDA_LOG_STREAM_NAME`
  public var logStreamName: String? { function.logStreamName }

  /// The time until Lambda ends the invocation; zero where that moment has passed.
  public var remainingTime: Duration { remainingTime(at: .now) }

  /// The time from `now` until Lambda ends the invocation; zero where that moment has passed.
  public func remainingTime(at now: WallTime) -> Duration {
    max(.zero, now.duration(to: deadline))
  }
}

extension Context {
  /// A context for a test of a handler, with `headers` as the Runtime API would have sent them.
  ///
  /// Throws where HTTP can't carry a header.
  public init(
    requestID: String, deadline: WallTime, headers: [HeaderField] = [],
    environment: Environment = Environment([:])
  ) throws {
    let head = try ResponseHead(fields: headers)
    self.init(
      requestID: requestID, deadline: deadline, head: head, function: FunctionDescription(environment))
  }
}

/// What the environment says about the function: the same for all invocations, so contexts share it.
final class FunctionDescription: Sendable {
  let name: String?
  let version: String?
  let memoryLimitInMegabytes: Int?
  let logGroupName: String?
  let logStreamName: String?

  init(_ environment: Environment) {
    name = environment.value("AWS_LAMBDA_FUNCTION_NAME")
    version = environment.value("AWS_LAMBDA_FUNCTION_VERSION")
    memoryLimitInMegabytes = environment.value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").flatMap { Int($0) }
    logGroupName = environment.value("AWS_LAMBDA_LOG_GROUP_NAME")
    logStreamName = environment.value("AWS_LAMBDA_LOG_STREAM_NAME")
  }
}
