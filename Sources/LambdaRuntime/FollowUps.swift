package import Platform

extension Response {
  /// Runs the work that belongs to this response, after it was sent. Starts none after `deadline`; nil means that Lambda doesn't enforce it.
  ///
  /// Logs each failure, and returns all of them.
  package func runFollowUps(until deadline: WallTime?, _ time: any Waiter, _ log: Log) -> [InvocationFailure]
  {
    var failures: [InvocationFailure] = []
    for (index, work) in followUps.enumerated() {
      if let deadline, time.wallTime >= deadline {
        log.warn(
          """
          Skipped \(followUps.count - index) of \(followUps.count) closures that should run after the response: the deadline of the \
          invocation has passed. Give the function a longer timeout.
          """)
        return failures
      }
      do {
        try work()
      } catch {
        let failure = InvocationFailure(error)
        log.error("Work after the response failed: \(failure.type): \(failure.message)")
        failures.append(failure)
      }
    }
    return failures
  }
}
