package import Platform

/// The configuration of the emulated function: its program, limits and name.
package struct FunctionConfiguration: Sendable {
  /// The path of the program, which Lambda calls `bootstrap`.
  package var bootstrap: String
  /// The maximum duration of an invocation.
  package var timeout: Duration
  package var name = "device-defender"
  package var version = "$LATEST"
  package var handler = "function_handler"
  package var memoryMegabytes = 128
  package var region = "us-east-1"
  /// The function's own environment variables. They override all others.
  package var environment: [String: String] = [:]

  package init(bootstrap: String, timeout: Duration) {
    self.bootstrap = bootstrap
    self.timeout = timeout
  }

  /// The function's ARN. AWS's own emulator uses the same account ID, 012345678912.
  package var arn: String { "arn:aws:lambda:\(region):012345678912:function:\(name)" }

  /// Whether the function runs as on Lambda Managed Instances, with several invocations at once. `AWS_LAMBDA_MAX_CONCURRENCY` selects
  /// that, as in AWS's Runtime Interface Emulator.
  var isManaged: Bool { environment["AWS_LAMBDA_MAX_CONCURRENCY"]?.isEmpty == false }

  /// Copies the variables that configure the function from the environment of the emulator's user.
  ///
  /// These are the function's own settings, the thing name, the region and the log settings. Credentials and endpoints are not
  /// copied: an emulated function never signs with the user's credentials and never reaches AWS.
  package mutating func inherit(from environment: Environment) {
    for (name, value) in environment.all where Self.isInherited(name) { self.environment[name] = value }
    region = environment.value("AWS_REGION", "AWS_DEFAULT_REGION") ?? region
  }

  private static func isInherited(_ name: String) -> Bool {
    let names: Set = [
      "AWS_IOT_THING_NAME", "SAMPLE_INTERVAL_SECONDS", "PROCFS_PATH", "AWS_LAMBDA_LOG_FORMAT",
      "AWS_LAMBDA_LOG_LEVEL", "SWIFT_BACKTRACE",
    ]
    return name.hasPrefix("DEFENDER_") || names.contains(name)
  }

  /// Returns the complete environment of the program ("Defined runtime environment variables" in the Lambda developer guide).
  func processEnvironment(
    at address: String, metadataToken: String, credentials: TemporaryCredentials, logStream: String
  ) -> [String: String] {
    let taskRoot = bootstrap.lastIndex(of: "/").map { String(bootstrap[..<$0]) } ?? "."
    var variables = [
      "AWS_ACCESS_KEY_ID": credentials.accessKeyID,
      "AWS_SECRET_ACCESS_KEY": credentials.secretAccessKey,
      "AWS_SESSION_TOKEN": credentials.sessionToken,
      "AWS_REGION": region,
      "AWS_DEFAULT_REGION": region,
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://\(address)",
      "AWS_IOT_THING_NAME": "local-device",
      "AWS_LAMBDA_FUNCTION_NAME": name,
      "AWS_LAMBDA_FUNCTION_VERSION": version,
      "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": String(memoryMegabytes),
      "AWS_LAMBDA_INITIALIZATION_TYPE": isManaged ? "lambda-managed-instances" : "on-demand",
      "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/\(name)",
      "AWS_LAMBDA_LOG_STREAM_NAME": logStream,
      "AWS_LAMBDA_METADATA_API": address,
      "AWS_LAMBDA_METADATA_TOKEN": metadataToken,
      "AWS_LAMBDA_RUNTIME_API": address,
      "DEFENDER_MINIMUM_INTERVAL_SECONDS": "1",
      "LAMBDA_RUNTIME_DIR": "/var/runtime",
      "LAMBDA_TASK_ROOT": taskRoot.isEmpty ? "/" : taskRoot,
      "LANG": "en_US.UTF-8",
      "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
      "TZ": ":UTC",
      "_HANDLER": handler,
    ]
    if isManaged { variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON" }
    return variables.merging(environment) { _, own in own }
  }
}
