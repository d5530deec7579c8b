import ArgumentParser
import LambdaEmulator
import Platform

/// `defender emulator`: the local Lambda, for any number of invocations.
struct EmulatorCommand: BackgroundCommand {
  static let configuration = CommandConfiguration(
    commandName: "emulator",
    abstract: "Runs a local Lambda that any process on this machine can invoke.",
    usage: "defender emulator [<options>]",
    discussion: """
      Accepts invocations at the same URL as AWS's runtime interface emulator, with the event as the body. Invocations \
      run one after the other. The first one starts the function's program; if the program exits, the next one starts it \
      again.

      A failed invocation is answered as by Lambda's Invoke API: status 200, the error as JSON, and the header \
      X-Amz-Function-Error. The function receives X-Amz-Client-Context (Base64 of JSON) and X-Amzn-Trace-Id.

      Examples:
        defender emulator
        defender emulator --port 9100 --timeout 5
        defender emulator --bootstrap .build/debug/hello --env GREETING=hello
        curl -d '{"reports":1}' \\
          http://127.0.0.1:9000/2015-03-31/functions/function/invocations

      SIGINT (Ctrl-C), SIGTERM and SIGHUP stop it and the function's process.

      Exit status: 0 stopped by a signal; 2 it couldn't start; 64 wrong command line; 74 the output couldn't be written.
      """)

  @Option(help: "The port on 127.0.0.1, 0 to 65535; 0 lets the system choose.")
  var port = 9000

  @OptionGroup var options: FunctionOptions

  func validate() throws {
    guard (0...65_535).contains(port) else {
      throw ValidationError("--port is \(port); expected 0 to 65535.")
    }
  }

  func run() async throws {
    let console = Console(showsReadableLog: options.logLines.areReadable)
    try await reportingFailure(to: console) {
      var configuration = Emulator.Configuration(function: try options.function(in: .ofThisProcess))
      configuration.port = port
      let signals = interruptions()
      do {
        try await Emulator.run(configuration, report: console.show) { emulator in
          console.error("defender: ready. Invoke the function with\n  curl -d '{}' \(emulator.invokeURL)")
          for await _ in signals { break }
        }
      } catch let error as ServerError {
        throw CommandFailure(
          "\(error). Choose another port with --port; 0 selects any free one.", status: .notRun)
      }
    }
  }
}
