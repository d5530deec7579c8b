import ArgumentParser

/// The options of `defender agent` for how it runs and what it logs.
struct AgentOperationOptions: ParsableArguments {
  @Flag(help: "Make one report at once, publish it, and exit.")
  var once = false

  @Flag(help: "Print the environment file that does what the other options do, and end.")
  var printEnvironment = false

  @Option(
    help: agentHelp(
      "The format of log lines: text or json (default: text).", sets: "AWS_LAMBDA_LOG_FORMAT",
      valueName: "format"),
    completion: .list(["text", "json"]))
  var logFormat: String?

  @Option(
    help: agentHelp(
      "The log level: NoLogs, Fatal, Error, Warn, Info, Debug or Trace (default: Info).",
      sets: "AWS_LAMBDA_LOG_LEVEL", valueName: "level"),
    completion: .list(["NoLogs", "Fatal", "Error", "Warn", "Info", "Debug", "Trace"]))
  var verbosity: String?

  /// Sets the variables of the options that are given.
  func set(_ variables: inout [String: String]) throws {
    if let logFormat {
      guard ["text", "json"].contains(logFormat.lowercased()) else {
        throw CommandFailure("--log-format is '\(logFormat)'; expected text or json.", status: .notRun)
      }
      variables["AWS_LAMBDA_LOG_FORMAT"] = logFormat
    }
    if let verbosity {
      let levels = [
        "nologs": "FATAL", "trace": "TRACE", "debug": "DEBUG", "info": "INFO", "warn": "WARN",
        "error": "ERROR", "fatal": "FATAL",
      ]
      guard let level = levels[verbosity.lowercased()] else {
        throw CommandFailure(
          "--verbosity is '\(verbosity)'; expected NoLogs, Fatal, Error, Warn, Info, Debug or Trace.",
          status: .notRun)
      }
      variables["AWS_LAMBDA_LOG_LEVEL"] = level
    }
  }
}
