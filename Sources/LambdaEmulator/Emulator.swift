package import Platform

/// A local emulation of Lambda and of the AWS services that the function uses. Only programs on this machine can reach it.
///
/// A server on 127.0.0.1 provides the APIs that the function uses (Runtime API, Extensions API, metadata), the URLs at which callers invoke
/// it and the other functions, and the AWS IoT data plane to which all of them publish. Each other function has a separate server
/// for the APIs that it uses.
package struct Emulator: Sendable {
  package struct Configuration: Sendable {
    package var function: FunctionConfiguration
    /// The other functions, which callers invoke by their names.
    package var otherFunctions: [FunctionConfiguration] = []
    /// The TCP port to listen on; 0 lets the system choose one.
    package var port = 0
    /// The TCP port of an AWS IoT endpoint with TLS, to which programs publish as to AWS. Nil for no endpoint; 0 lets the system choose.
    package var iotPort: Int?
    /// The TCP port at which `function` has a function URL. Nil for no URL; 0 lets the system choose.
    package var functionURLPort: Int?
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
  /// The port of the function URL. Nil unless ``Configuration/functionURLPort`` is set.
  package let functionURLPort: Int?
  private let functions: FunctionDirectory
  private let invokeEndpoint: InvokeEndpoint
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
    let servers = try await Servers(configuration)
    var detection: DetectionService?
    if let function = configuration.detection {
      detection = try await DetectionService(
        function, configuration, logStream: logStreamName(at: configuration.now()), report: report)
    }
    let emulator = Emulator(servers, configuration, detection, report: report)
    return try await withThrowingTaskGroup { group in
      for (server, function) in zip(servers.functions, emulator.functions.all) {
        group.addTask {
          try await server.run { request, body in try await emulator.answer(request, &body, for: function) }
        }
      }
      if let server = servers.functionURL {
        let url = FunctionURLEndpoint(
          function: emulator.functions.first, port: server.port, now: configuration.now, report: report)
        group.addTask { try await server.run { request, body in try await url.answer(request, &body) } }
      }
      if let server = servers.iot {
        group.addTask {
          try await server.run { request, body in try await emulator.answerIoT(request, &body) }
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

  private init(
    _ servers: Servers, _ configuration: Configuration, _ detection: DetectionService?,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    port = servers.main.port
    iotEndpoint = servers.iot.map { IoTEndpoint(port: $0.port, certificate: servers.certificate) }
    functionURLPort = servers.functionURL?.port
    functions = FunctionDirectory(
      first: HostedFunction(configuration.function, on: servers.main, configuration, report: report),
      others: zip(configuration.otherFunctions, servers.functions.dropFirst()).map {
        HostedFunction($0, on: $1, configuration, report: report)
      })
    invokeEndpoint = InvokeEndpoint(functions: functions)
    publishEndpoint = PublishEndpoint(
      verifier: SignatureVerifier(
        credentials: configuration.credentials, region: configuration.function.region),
      now: configuration.now,
      report: { [pipeline = detection?.pipeline, now = configuration.now] publish in
        report(.publish(publish))
        pipeline?.receive(publish, at: now())
      })
    self.detection = detection
  }

  /// The URLs at which callers invoke the functions.
  package var invokeURLs: [String] {
    let names =
      functions.others.isEmpty ? [FunctionDirectory.commonName] : functions.all.map(\.configuration.name)
    return names.map { "http://127.0.0.1:\(port)\(InvokeEndpoint.path(of: $0))" }
  }

  /// The most recent publishes that reached the data plane, at most 256.
  package var publishes: [ReceivedPublish] { publishEndpoint.received }

  /// The number of publishes that the data plane has accepted and rejected.
  package var publishCounts: (accepted: Int, refused: Int) { publishEndpoint.counts }

  /// Invokes the first function. Waits until it can handle another invocation.
  package func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await functions.first.environment.invoke(request)
  }

  /// Ends the functions' processes as soon as they have finished their invocations. The next invocation of each starts its program again.
  package func restart() async {
    for function in functions.all { await function.environment.restart() }
    await detection?.restart()
  }

  /// Waits until each report published so far is evaluated. Returns the number of those that couldn't be; 0 without detection.
  package func waitForDetection() async -> Int { await detection?.pipeline.drained() ?? 0 }

  /// Ends the functions' processes. Pending and later invocations fail with `stopped`.
  package func stop() async {
    // In a separate task, so that cancelling the caller doesn't interrupt the shutdown.
    await Task {
      await withDiscardingTaskGroup { group in
        for function in functions.all { group.addTask { await function.environment.stop() } }
      }
      await detection?.stop()
    }.value
  }

  /// Answers a request to the server of `function`.
  private func answer(
    _ request: ReceivedRequest, _ body: inout RequestBody, for function: HostedFunction
  ) async throws -> Answer? {
    if let refusal = BrowserGuard.refusal(of: request) { return refusal }
    if HostedFunction.isResponsible(for: request) { return try await function.answer(request, &body) }
    if InvokeEndpoint.isResponsible(for: request) { return try await invokeEndpoint.answer(request, &body) }
    if PublishEndpoint.isResponsible(for: request) {
      return try await publishEndpoint.answer(request, &body)
    }
    return Answer(
      status: 404,
      object: [
        "message":
          "Nothing is served at \(request.path). To invoke the function, use \(InvokeEndpoint.path(of: FunctionDirectory.commonName))."
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

/// The servers of an emulator, which listen.
private struct Servers {
  /// That of the first function, to which callers connect.
  let main: LoopbackServer
  private let others: [LoopbackServer]
  let iot: LoopbackServer?
  /// The certificate of ``iot``.
  let certificate: [UInt8]
  let functionURL: LoopbackServer?

  /// One server for each function.
  var functions: [LoopbackServer] { [main] + others }

  init(_ configuration: Emulator.Configuration) async throws {
    main = try await LoopbackServer(port: configuration.port)
    let tls = try configuration.iotPort.map { _ in try LoopbackTLS() }
    certificate = tls?.certificate ?? []
    var iot: LoopbackServer?
    if let port = configuration.iotPort { iot = try await LoopbackServer(port: port, tls: tls) }
    self.iot = iot
    var functionURL: LoopbackServer?
    if let port = configuration.functionURLPort { functionURL = try await LoopbackServer(port: port) }
    self.functionURL = functionURL
    var others: [LoopbackServer] = []
    for _ in configuration.otherFunctions { others.append(try await LoopbackServer(port: 0)) }
    self.others = others
  }
}

/// Returns a log stream name in Lambda's form: `2026/01/02/[$LATEST]` and 32 random hexadecimal digits.
func logStreamName(at time: WallTime) -> String {
  let date = CivilTime(time).extendedFormat.prefix(10).map { $0 == "-" ? "/" : String($0) }.joined()
  return "\(date)/[$LATEST]\(randomUUID().filter { $0 != "-" })"
}
