package import Platform

/// A local emulation of Lambda and of the AWS services that the function uses. Only programs on this machine can reach it.
///
/// A single server on 127.0.0.1 provides the APIs that the function uses (Runtime API, Extensions API, metadata), the URL at which
/// callers invoke it, and the AWS IoT data plane to which it publishes.
package struct Emulator: Sendable {
  package struct Configuration: Sendable {
    package var function: FunctionConfiguration
    /// The TCP port to listen on; 0 lets the system choose one.
    package var port = 0
    /// The TCP port of an AWS IoT endpoint with TLS, to which programs publish as to AWS. Nil for no endpoint; 0 lets the system choose.
    package var iotPort: Int?
    /// A function with `detect_handler`, which evaluates the reports that are published; nil for none. The process must be able to
    /// publish its events to AWS IoT.
    package var detection: FunctionConfiguration?
    /// The function's credentials, the only ones that the data plane accepts.
    package var credentials = TemporaryCredentials.random()
    /// The time between SIGTERM and SIGKILL for the function's process when the emulator stops.
    package var grace = Duration.seconds(2)
    /// The clock of the data plane.
    package var now: @Sendable () -> WallTime = { .now }

    package init(function: FunctionConfiguration) {
      self.function = function
    }
  }

  /// The AWS IoT endpoint with TLS.
  package struct IoTEndpoint: Sendable {
    package let port: Int
    /// The certificate that clients must trust, in PEM.
    package let certificate: [UInt8]
  }

  package let port: Int
  /// Nil unless ``Configuration/iotPort`` is set.
  package let iotEndpoint: IoTEndpoint?
  private let environment: any FunctionEnvironment
  private let extensionsEndpoint: ExtensionsEndpoint
  private let metadataEndpoint: MetadataEndpoint
  private let publishEndpoint: PublishEndpoint
  private let detection: DetectionService?

  /// Runs an emulator until `body` returns, then closes its server and ends the function's process.
  ///
  /// - Parameters:
  ///   - configuration: The function, the port and the credentials.
  ///   - report: Receives events as they happen, on any thread.
  ///   - body: Uses the emulator.
  /// - Returns: The result of `body`.
  /// - Throws: ``ServerError`` if the emulator can't listen on a port, or the error of `body`.
  package static func run<Result: Sendable>(
    _ configuration: Configuration, report: @escaping @Sendable (EmulatorEvent) -> Void,
    _ body: @Sendable (Emulator) async throws -> Result
  ) async throws -> Result {
    let server = try await LoopbackServer(port: configuration.port)
    let tls = try configuration.iotPort.map { _ in try LoopbackTLS() }
    var iotServer: LoopbackServer?
    if let port = configuration.iotPort { iotServer = try await LoopbackServer(port: port, tls: tls) }
    let address = "127.0.0.1:\(server.port)"
    let logStream = logStreamName(at: configuration.now())
    var detection: DetectionService?
    if let function = configuration.detection {
      detection = try await DetectionService(function, configuration, logStream: logStream, report: report)
    }
    let metadata = MetadataEndpoint(token: randomUUID())
    let variables = configuration.function.processEnvironment(
      at: address, metadataToken: metadata.token, credentials: configuration.credentials, logStream: logStream
    )
    let environment: any FunctionEnvironment =
      configuration.function.isManaged
      ? ManagedEnvironment(
        function: configuration.function, variables: variables, grace: configuration.grace, report: report)
      : ExecutionEnvironment(
        function: configuration.function, variables: variables, grace: configuration.grace, report: report)
    let emulator = Emulator(
      port: server.port,
      iotEndpoint: iotServer.map { IoTEndpoint(port: $0.port, certificate: tls?.certificate ?? []) },
      environment: environment,
      extensionsEndpoint: ExtensionsEndpoint(
        extensions: environment.extensions, function: configuration.function),
      metadataEndpoint: metadata,
      publishEndpoint: PublishEndpoint(
        verifier: SignatureVerifier(
          credentials: configuration.credentials, region: configuration.function.region),
        now: configuration.now,
        report: { [pipeline = detection?.pipeline, now = configuration.now] publish in
          report(.publish(publish))
          pipeline?.receive(publish, at: now())
        }), detection: detection)
    return try await withThrowingTaskGroup { group in
      group.addTask {
        try await server.run { request, body in try await emulator.answer(request, &body) }
      }
      if let iotServer {
        group.addTask {
          try await iotServer.run { request, body in try await emulator.answerIoT(request, &body) }
        }
      }
      if let detection { group.addTask { try await detection.run() } }
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

  /// The most recent publishes that reached the data plane, at most 256.
  package var publishes: [ReceivedPublish] { publishEndpoint.received }

  /// The number of publishes that the data plane has accepted and rejected.
  package var publishCounts: (accepted: Int, refused: Int) { publishEndpoint.counts }

  /// Invokes the function. Waits until it can handle another invocation.
  package func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await environment.invoke(request)
  }

  /// Waits until each report published so far is evaluated. Returns the number of those that couldn't be; 0 without detection.
  package func waitForDetection() async -> Int { await detection?.pipeline.drained() ?? 0 }

  /// Ends the function's process. Pending and later invocations fail with `stopped`.
  package func stop() async {
    // In a separate task, so that cancelling the caller doesn't interrupt the shutdown.
    await Task {
      await environment.stop()
      await detection?.stop()
    }.value
  }

  private func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    if let refusal = BrowserGuard.refusal(of: request) { return refusal }
    if RuntimeAPIEndpoint.isResponsible(for: request) {
      return try await RuntimeAPIEndpoint(environment: environment).answer(request, &body)
    }
    if ExtensionsEndpoint.isResponsible(for: request) {
      return try await extensionsEndpoint.answer(request, &body)
    }
    if MetadataEndpoint.isResponsible(for: request) { return metadataEndpoint.answer(request) }
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
          "Nothing is served at \(request.path). To invoke the function, use \(InvokeEndpoint.path)."
      ])
  }

  /// Answers a request to the AWS IoT endpoint with TLS, which serves only the data plane.
  private func answerIoT(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    if let refusal = BrowserGuard.refusal(of: request) { return refusal }
    guard PublishEndpoint.isResponsible(for: request) else {
      return Answer(
        status: 404,
        object: ["message": "Nothing is served at \(request.path). This is the data plane of AWS IoT."])
    }
    return try await publishEndpoint.answer(request, &body)
  }
}

/// Returns a log stream name in Lambda's form: `2026/01/02/[$LATEST]` and 32 random hexadecimal digits.
private func logStreamName(at time: WallTime) -> String {
  let date = CivilTime(time).extendedFormat.prefix(10).map { $0 == "-" ? "/" : String($0) }.joined()
  return "\(date)/[$LATEST]\(randomUUID().filter { $0 != "-" })"
}
