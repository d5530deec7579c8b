package import DefenderAgent
package import LambdaRuntime
package import Platform

/// `function_handler`: each invocation is one run of the agent's report loop.
///
/// The handler keeps the loop's baseline and last report ID from one invocation to the next.
package struct PublishMetricsHandler: Handler, ~Copyable {
  /// The time before the deadline that is reserved for the response.
  private static let answerMargin = Duration.milliseconds(500)

  package var loop: ReportLoop
  private let time: any TimeSource

  /// Creates a handler that runs `loop` with the clock `time`.
  package init(_ loop: consuming ReportLoop, time: any TimeSource) {
    self.loop = loop
    self.time = time
  }

  /// Creates a handler with the configuration in the environment.
  ///
  /// Throws a ``ConfigurationError`` that lists all mistakes, or an error if libcurl or OpenSSL can't be used.
  package init(_ environment: Environment, time: any Waiter, log: Log) throws {
    warnOfUnknownVariables(in: environment, log: log)
    let configuration = try Configuration(environment)
    let publisher = try configuration.publisher(time: time, log: log)
    var waiter: any Waiter = time
    if let task = publisher.idleTask { waiter = TaskRunningWaiter(time, running: [task]) }
    self.init(ReportLoop(configuration, publisher: publisher, time: waiter, log: log), time: time)
  }

  package mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let plan = try ReportPlan(event: event.bytes)
    let remaining = time.wallTime.duration(to: context.deadline) - Self.answerMargin
    let outcome = try loop.run(plan, until: time.bootTime.advanced(by: remaining))
    if let failure = outcome.failure {
      throw InvocationFailure(type: "Function.PublishFailed", message: failure)
    }
    return Response(summaryOf: outcome)
  }
}
