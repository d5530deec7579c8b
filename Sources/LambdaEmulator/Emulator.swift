package import Platform

/// A Lambda function and the AWS that it needs, on this machine and for this machine only.
///
/// One server on 127.0.0.1 is the Runtime API that the function polls, the URL at which callers invoke it, and the
/// AWS IoT data plane to which it publishes.
package struct Emulator: Sendable {
  package struct Configuration: Sendable {
    package var function: FunctionConfiguration
    /// 0 leaves the choice to the system.
    package var port = 0
    /// Whom the function signs as; the data plane knows nobody else.
    package var credentials = TemporaryCredentials.random()
    /// How long the function's process has from SIGTERM to SIGKILL when the emulator stops.
    package var grace = Duration.seconds(2)
    /// The clock of the data plane.
    package var now: @Sendable () -> WallTime = { .now }

    package init(function: FunctionConfiguration) {
      self.function = function
    }
  }

  package let port: Int
  private let environment: ExecutionEnvironment
  private let publishEndpoint: PublishEndpoint

  /// Runs an emulator for as long as `body` takes; afterwards its server is closed and no process is left.
  ///
  /// - Parameters:
  ///   - configuration: Which function, and on which port.
  ///   - report: Is told what happens, from any thread.
  ///   - body: What to do with the emulator.
  /// - Returns: What `body` returns.
  /// - Throws: ``ServerError`` where the port can't be had, and whatever `body` throws.
  package static func run<Result: Sendable>(
    _ configuration: Configuration, report: @escaping @Sendable (EmulatorEvent) -> Void,
    _ body: @Sendable (Emulator) async throws -> Result
  ) async throws -> Result {
    let server = try await LoopbackServer(port: configuration.port)
    let address = "127.0.0.1:\(server.port)"
    let environment = ExecutionEnvironment(
      function: configuration.function,
      variables: configuration.function.processEnvironment(
        runtimeAPI: address, publishEndpoint: "http://\(address)", credentials: configuration.credentials,
        logStream: logStreamName(at: configuration.now())),
      grace: configuration.grace, report: report)
    let emulator = Emulator(
      port: server.port, environment: environment,
      publishEndpoint: PublishEndpoint(
        verifier: SignatureVerifier(
          credentials: configuration.credentials, region: configuration.function.region),
        now: configuration.now, report: { report(.publish($0)) }))
    return try await withThrowingTaskGroup { group in
      group.addTask {
        try await server.run { request, body in try await emulator.answer(request, &body) }
      }
      defer { group.cancelAll() }
      do {
        let result = try await body(emulator)
        await emulator.stop()
        return result
      } catch {
        await emulator.stop()
        throw error
      }
    }
  }

  /// The URL at which callers invoke the function.
  package var invokeURL: String { "http://127.0.0.1:\(port)\(InvokeEndpoint.path)" }

  /// The newest publishes that reached the data plane, 256 at most.
  package var publishes: [ReceivedPublish] { publishEndpoint.received }

  /// How many publishes the data plane has accepted and refused.
  package var publishCounts: (accepted: Int, refused: Int) { publishEndpoint.counts }

  /// Invokes the function, after those who asked before.
  package func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await environment.invoke(request)
  }

  /// Ends the function's process; callers who wait are told, and so is everybody who comes later.
  package func stop() async {
    // A task of its own: that the caller was cancelled mustn't cut the end of the process short.
    await Task { await environment.stop() }.value
  }

  private func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    if let refusal = BrowserGuard.refusal(of: request) { return refusal }
    if RuntimeAPIEndpoint.isResponsible(for: request) {
      return try await RuntimeAPIEndpoint(environment: environment).answer(request, &body)
    }
    if InvokeEndpoint.isResponsible(for: request) {
      return try await InvokeEndpoint(environment: environment).answer(request, &body)
    }
    if PublishEndpoint.isResponsible(for: request) {
      return try await publishEndpoint.answer(request, &body)
    }
    return Answer(
      status: 404,
      object: [
        "message":
          "nothing is served at \(request.path); callers invoke the function at \(InvokeEndpoint.path)"
      ])
  }
}

/// `2026/01/02/[$LATEST]` and 32 random digits, as Lambda names log streams.
private func logStreamName(at time: WallTime) -> String {
  let date = CivilTime(time).extendedFormat.prefix(10).map { $0 == "-" ? "/" : String($0) }.joined()
  return "\(date)/[$LATEST]\(randomUUID().filter { $0 != "-" })"
}
