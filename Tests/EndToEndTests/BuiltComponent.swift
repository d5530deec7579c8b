import TestSupport

/// The built `bootstrap` as a component of a fake nucleus lite, which accepts one report every 0.1 s.
final class BuiltComponent {
  let nucleus: FakeNucleus
  let program: ServerProgram

  /// Starts the nucleus and the component, which logs to the file at `log`.
  init(log: String) throws {
    nucleus = try FakeNucleus(
      .lite,
      configuration: #"""
        {"SampleIntervalSeconds": 0.1, "MinimumIntervalSeconds": 0.1, "accessControl": {
          "aws.greengrass.ipc.mqttproxy": {"policy": {"operations": ["*"], "resources": ["*"]}}}}
        """#, arguments: ["--confirm", "accepted"])
    program = try ServerProgram(
      try BuiltProgram("bootstrap").path, [],
      environment: [
        "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": nucleus.socketPath,
        "SVCUID": FakeNucleus.token, "AWS_IOT_THING_NAME": "t1", "AWS_REGION": "eu-central-1",
      ], log: log)
  }

  /// The nucleus exits when it has no connection.
  deinit { program.stop() }
}
