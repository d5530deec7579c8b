import Platform
import WireFormats

/// A second function, `detect_handler`, with its own server: the Runtime API, and the services to which the function sends events.
struct DetectionService: Sendable {
  /// How often the schedule of the template lambda/aws/detect.yaml invokes the function.
  private static let sweepInterval = Duration.seconds(60)

  let pipeline: DetectionPipeline
  private let server: LoopbackServer
  private let environment: ExecutionEnvironment
  private let metadata: MetadataEndpoint
  private let events: PublishEndpoint
  private let alerts: AlertEndpoint

  /// Listens on a free port. `function` gets the endpoints as variables.
  init(
    _ function: FunctionConfiguration, _ configuration: Emulator.Configuration, logStream: String,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) async throws {
    server = try await LoopbackServer(port: 0)
    let address = "127.0.0.1:\(server.port)"
    var function = function
    function.environment["AWS_ENDPOINT_URL_SNS"] = "http://\(address)"
    metadata = MetadataEndpoint(token: randomUUID())
    environment = ExecutionEnvironment(
      function: function,
      variables: function.processEnvironment(
        at: address, metadataToken: metadata.token, credentials: configuration.credentials,
        logStream: logStream),
      grace: configuration.grace, report: report)
    pipeline = DetectionPipeline(environment, report: report)
    func verifier(_ service: String, in region: String?) -> SignatureVerifier {
      SignatureVerifier(credentials: configuration.credentials, region: region, service: service)
    }
    let iotVerifier = verifier("iotdata", in: function.region)
    events = PublishEndpoint(verifier: iotVerifier, now: configuration.now) { publish in
      let isAccepted = publish.verdict == .accepted
      report(isAccepted ? .violation(publish.payload) : .publish(publish))
    }
    // A request to SNS is signed for the region of its topic.
    alerts = AlertEndpoint(verifier: verifier("sns", in: nil), now: configuration.now, report: report)
  }

  /// Serves the function until the current task is cancelled.
  func run() async throws {
    try await withThrowingTaskGroup { group in
      group.addTask { try await server.run { request, body in try await answer(request, &body) } }
      group.addTask {
        while true {
          try await Task.sleep(for: Self.sweepInterval)
          await pipeline.sweep()
        }
      }
      try await group.waitForAll()
    }
  }

  /// Ends the function's process.
  func stop() async { await environment.stop() }

  /// Lets the next batch of reports start the program again.
  func restart() async { await environment.restart() }

  private func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    if let refusal = BrowserGuard.refusal(of: request) { return refusal }
    if RuntimeAPIEndpoint.isResponsible(for: request) {
      return try await RuntimeAPIEndpoint(environment: environment).answer(request, &body)
    }
    if MetadataEndpoint.isResponsible(for: request) { return metadata.answer(request) }
    if PublishEndpoint.isResponsible(for: request) { return try await events.answer(request, &body) }
    if AlertEndpoint.isResponsible(for: request) { return try await alerts.answer(request, &body) }
    return Answer(status: 404, object: ["message": "Nothing is served at \(request.path)."])
  }
}
