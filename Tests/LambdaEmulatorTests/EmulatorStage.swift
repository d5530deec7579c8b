import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// The path at which callers invoke the function.
let invokeTarget = "/2015-03-31/functions/function/invocations"

/// Runs `body` with an emulator whose function is a shell script, which by default only sleeps.
func withEmulator(
  script: String = "exec sleep 600", timeout: Duration = .seconds(60), grace: Duration = .seconds(2),
  environment: [String: String] = [:], handlers: [String] = [],
  report: @escaping @Sendable (EmulatorEvent) -> Void = { _ in }, functionURLPort: Int? = nil,
  _ body: @Sendable (Emulator, HTTPTestClient) async throws -> Void
) async throws {
  let directory = try TemporaryDirectory()
  var function = FunctionConfiguration(bootstrap: try directory.executable(script), timeout: timeout)
  function.environment = environment
  let functions = handlers.map { handler in
    var selected = function
    selected.handler = handler
    selected.name = handler
    return selected
  }
  var configuration = Emulator.Configuration(function: functions.first ?? function)
  configuration.otherFunctions = Array(functions.dropFirst())
  configuration.functionURLPort = functionURLPort
  configuration.grace = grace
  try await Emulator.run(configuration, report: report) { emulator in
    try await body(emulator, HTTPTestClient(port: emulator.port))
  }
}

/// Waits until a condition holds, and calls `meanwhile` before each time that it checks that again. Throws after a minute.
func eventually(_ condition: () -> Bool, meanwhile: () async throws -> Void = {}) async throws {
  let deadline = BootTime.now.advanced(by: .seconds(60))
  while !condition() {
    try #require(BootTime.now < deadline)
    try await meanwhile()
    try await Task.sleep(for: .milliseconds(5))
  }
}

extension HTTPTestClient.Response {
  var requestID: String { header("Lambda-Runtime-Aws-Request-Id") ?? "" }
  var responseTarget: String { "/2018-06-01/runtime/invocation/\(requestID)/response" }
  var invocationID: String? { header("Lambda-Runtime-Invocation-Id") }
  /// The field that an answer to this event repeats.
  var invocationIDField: [HeaderField] {
    invocationID.map { [HeaderField("Lambda-Runtime-Invocation-Id", $0)] } ?? []
  }
  var errorTarget: String { "/2018-06-01/runtime/invocation/\(requestID)/error" }

  var json: JSONValue {
    get throws { try JSONValue(parsing: body) }
  }
}
