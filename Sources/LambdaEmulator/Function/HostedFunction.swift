import WireFormats

/// A function of the emulator: its execution environment, and the APIs that its process uses.
///
/// `AWS_LAMBDA_RUNTIME_API` has no path, so each function needs a separate server.
struct HostedFunction: Sendable {
  let configuration: FunctionConfiguration
  let environment: any FunctionEnvironment
  private let extensionsEndpoint: ExtensionsEndpoint
  private let metadataEndpoint: MetadataEndpoint

  /// Creates a function whose process uses the APIs on `server`.
  init(
    _ function: FunctionConfiguration, on server: LoopbackServer, _ emulator: Emulator.Configuration,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    configuration = function
    metadataEndpoint = MetadataEndpoint(token: randomUUID())
    let variables = function.processEnvironment(
      at: "127.0.0.1:\(server.port)", metadataToken: metadataEndpoint.token,
      credentials: emulator.credentials,
      logStream: logStreamName(at: emulator.now())
    )
    environment =
      function.isManaged
      ? ManagedEnvironment(
        function: function, variables: variables, grace: emulator.grace, report: report)
      : ExecutionEnvironment(
        function: function, variables: variables, grace: emulator.grace, report: report)
    extensionsEndpoint = ExtensionsEndpoint(extensions: environment.extensions, function: function)
  }

  /// Returns whether a request is for one of the APIs that a function's process uses.
  static func isResponsible(for request: ReceivedRequest) -> Bool {
    RuntimeAPIEndpoint.isResponsible(for: request) || ExtensionsEndpoint.isResponsible(for: request)
      || MetadataEndpoint.isResponsible(for: request)
  }

  /// Answers a request of the function's process.
  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    if RuntimeAPIEndpoint.isResponsible(for: request) {
      return try await RuntimeAPIEndpoint(environment: environment).answer(request, &body)
    }
    if ExtensionsEndpoint.isResponsible(for: request) {
      return try await extensionsEndpoint.answer(request, &body)
    }
    return metadataEndpoint.answer(request)
  }
}
