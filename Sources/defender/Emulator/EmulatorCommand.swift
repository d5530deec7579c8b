import ArgumentParser
import Glibc
import LambdaEmulator
import Platform
import WireFormats

/// `defender emulator`: the local Lambda, for any number of invocations.
struct EmulatorCommand: BackgroundCommand {
  static let configuration = CommandConfiguration(
    commandName: "emulator",
    abstract: "Runs a local Lambda that any process on this machine can invoke.",
    usage: "defender emulator [<options>]",
    discussion: """
      Accepts invocations at the same URL as AWS's runtime interface emulator, with the event as the body. Invocations \
      run one after the other, or with --env AWS_LAMBDA_MAX_CONCURRENCY=N several at once, as on Managed Instances. The \
      first one starts the function's program; if the program exits, the next one starts it again.

      The URL and the headers are those of Lambda's Invoke API, so `aws lambda invoke --endpoint-url` works. If an invocation fails, \
      the caller still gets status 200, with the error as JSON and the header X-Amz-Function-Error. The function receives \
      X-Amz-Client-Context (Base64 of JSON) and X-Amzn-Trace-Id. If the caller sends X-Amz-Log-Type: Tail, X-Amz-Log-Result in the \
      response is the last 4 KB of the log, in Base64. X-Amz-Invocation-Type may be RequestResponse, Event (an asynchronous \
      invocation, without retries) or DryRun.

      With --function-url, the (first) function also answers HTTP requests from browsers and curl, as behind a function URL of Lambda. \
      The event has payload format 2.0. If the function's response can't be sent over HTTP, the client gets status 502 and the \
      reason. Of web pages, only those of this machine may send requests.

      With --watch, the emulator builds the program when it starts, and again when a source file changes. The source files are *.swift and \
      Package.resolved in the current directory, and all files in its folders, except Tests and hidden folders. The next invocation \
      starts the new program. If a build fails, the emulator shows its errors and keeps the old program.

      With several --handler, each one names a function with its own process, at /2015-03-31/functions/NAME/invocations.

      The function publishes to a local AWS IoT data plane, which verifies signatures. With --iot-port, other programs on \
      this machine can publish to it over TLS, such as `defender publish` and the AWS CLI. The emulator prints variables that set \
      the endpoint, the certificate to trust and the credentials. The credentials are random, and only this emulator accepts them.

      With --detect, a second process of the program runs detect_handler. It evaluates the reports that reach the endpoint, \
      as it does for a fleet in AWS. The emulator prints each violation event as one line of JSON. A changed profile takes \
      effect within a minute.

      Examples:
        defender emulator
        defender emulator --port 9100 --timeout 5
        defender emulator --iot-port 8443
        defender emulator --iot-port 8443 --detect pumps.json
        defender emulator --bootstrap .build/debug/hello --env GREETING=hello
        defender emulator --bootstrap images --handler resize --handler rotate
        defender emulator --bootstrap .build/debug/api --function-url 8080 --watch
        curl -d '{"reports":1}' \\
          http://127.0.0.1:9000/2015-03-31/functions/function/invocations
        aws lambda invoke --endpoint-url http://127.0.0.1:9000 --function-name \\
          resize --payload fileb://event.json --log-type Tail answer.json

      SIGINT (Ctrl-C), SIGTERM and SIGHUP stop it and the function's process.

      Exit status: 0 stopped by a signal; 2 it couldn't start; 64 wrong command line; 74 the output couldn't be written.
      """)

  @Option(help: "The port on 127.0.0.1, 0 to 65535; 0 lets the system choose.")
  var port = 9000

  @Option(
    help: ArgumentHelp(
      "Serve an AWS IoT endpoint with TLS on this port of 127.0.0.1; 0 lets the system choose (default: none).",
      valueName: "port"))
  var iotPort: Int?

  @Option(
    help: ArgumentHelp(
      "Serve the function over HTTP, as a function URL does, on this port of 127.0.0.1; 0 lets the system choose (default: none).",
      valueName: "port"))
  var functionUrl: Int?

  @Option(help: ArgumentHelp("\(handlerHelp) Repeat it for each function.", valueName: "name"))
  var handler: [String] = []

  @Flag(help: "Build the program, and build it again when its source files change.")
  var watch = false

  @Option(
    help: ArgumentHelp(
      "The shell command that builds the program for --watch (default: `swift build --product NAME`, if the program is in .build).",
      valueName: "command"))
  var build: String?

  @OptionGroup var options: FunctionOptions

  @OptionGroup var detectionOptions: DetectionOptions

  func validate() throws {
    var taken: [Int: String] = [:]
    for (name, port) in ports {
      guard (0...65_535).contains(port) else {
        throw ValidationError("\(name) is \(port); expected 0 to 65535.")
      }
      if port != 0, let other = taken.updateValue(name, forKey: port) {
        throw ValidationError(
          "\(other) and \(name) are both \(port). Choose another port for one of them.")
      }
    }
    try options.check(handlers: handler)
    if let build {
      guard watch else { throw ValidationError("--build needs --watch.") }
      guard !build.isEmpty else { throw ValidationError("--build is empty; it must be a shell command.") }
    }
  }

  /// The ports, by the names of their options.
  private var ports: [(name: String, port: Int)] {
    let all = [("--port", port), ("--iot-port", iotPort), ("--function-url", functionUrl)]
    return all.compactMap { name, port in port.map { (name, $0) } }
  }

  func run() async throws {
    let console = Console(showsReadableLog: options.logLines.areReadable)
    try await reportingFailure(to: console) {
      let rebuild = watch ? Rebuild(command: try buildCommand(), console: console) : nil
      let functions = try options.functions(handler, in: .ofThisProcess, mayBeMissing: watch)
      var configuration = Emulator.Configuration(function: functions[0])
      configuration.otherFunctions = Array(functions.dropFirst())
      configuration.port = port
      configuration.iotPort = iotPort
      configuration.functionURLPort = functionUrl
      let detection = try detectionOptions.detection(beside: configuration.function, console)
      defer { detection?.remove() }
      configuration.detection = detection?.function
      let signals = interruptions()
      do {
        try await Emulator.run(configuration, report: console.show) { [configuration] emulator in
          let certificate = try emulator.iotEndpoint.map { try CertificateFile($0.certificate) }
          defer { certificate?.remove() }
          if let endpoint = emulator.iotEndpoint, let certificate {
            console.error(variables(of: endpoint, certificate.path, configuration))
          }
          await withTaskGroup { group in
            if let rebuild {
              group.addTask { await rebuild.run(emulator) { announce(emulator, console) } }
            } else {
              announce(emulator, console)
            }
            for await _ in signals { break }
            group.cancelAll()
          }
        }
      } catch let error as ServerError {
        throw CommandFailure(
          "\(error). Choose another port with \(optionOfPort(in: error)); 0 selects any free one.",
          status: .notRun)
      }
    }
  }

  /// Returns the command for --watch.
  private func buildCommand() throws(CommandFailure) -> String {
    if let build { return build }
    let program = options.bootstrap ?? "bootstrap"
    guard let command = Rebuild.command(building: program), unsafe access("Package.swift", R_OK) == 0 else {
      throw CommandFailure(
        "--watch doesn't know how to build \(program). Start the emulator in the directory of Package.swift, with a program such as "
          + "--bootstrap .build/debug/hello, or add --build and a command, such as --build 'swift build'.",
        status: .notRun)
    }
    return command
  }

  /// Prints that the emulator is ready, and how to use it.
  private func announce(_ emulator: Emulator, _ console: Console) {
    if let port = emulator.functionURLPort {
      console.error("defender: the function URL is http://127.0.0.1:\(port)/")
    }
    let commands = emulator.invokeURLs.map { "  curl -d '{}' \(shellWord($0))" }
    console.error("defender: ready. Invoke the function with\n\(commands.joined(separator: "\n"))")
  }

  /// Returns the name of the option with the port that the emulator can't listen on.
  private func optionOfPort(in error: ServerError) -> String {
    guard case .cannotListen(let failed, _) = error else { return "--port" }
    return ports.first { $0.port == failed }?.name ?? "--port"
  }

  /// Returns a text with the variables that make AWS's CLI and SDKs, and `defender publish`, use the endpoint.
  private func variables(
    of endpoint: Emulator.IoTEndpoint, _ certificateFile: String, _ configuration: Emulator.Configuration
  ) -> String {
    let credentials = configuration.credentials
    let values = [
      ("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "https://127.0.0.1:\(endpoint.port)"),
      ("AWS_CA_BUNDLE", certificateFile), ("AWS_REGION", configuration.function.region),
      // Version 1 of the AWS CLI reads only this one.
      ("AWS_DEFAULT_REGION", configuration.function.region),
      ("AWS_ACCESS_KEY_ID", credentials.accessKeyID), ("AWS_SECRET_ACCESS_KEY", credentials.secretAccessKey),
      ("AWS_SESSION_TOKEN", credentials.sessionToken),
    ]
    let lines = values.map { name, value in "  export \(name)=\(shellWord(value))" }
    return "defender: to publish to the local AWS IoT endpoint, paste this into another shell. "
      + "Only this emulator accepts the credentials.\n" + lines.joined(separator: "\n")
  }
}

/// Returns `text` as one word for a shell, in quotes if necessary.
private func shellWord(_ text: String) -> String {
  let isPlain = !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "-_./:+=".utf8.contains($0) }
  return isPlain
    ? text
    : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
