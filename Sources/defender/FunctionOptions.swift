import ArgumentParser
import Glibc
import LambdaEmulator
import Platform

/// The options that `invoke` and `emulator` share: the function to run and its timeout.
struct FunctionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The function's program (default: bootstrap, in the directory of defender or in ../lib/device-defender).",
      valueName: "path"),
    completion: .file())
  var bootstrap: String?

  @Option(
    help: ArgumentHelp(
      "A variable of the function's environment; repeat it for each variable (default: none).",
      valueName: "name=value"))
  var env: [String] = []

  @Option(help: ArgumentHelp("The time limit of an invocation, 0.001 to 86400.", valueName: "seconds"))
  var timeout = 60.0

  @Option(
    help: ArgumentHelp(
      "How to show the function's JSON log lines: readable, raw, or auto (readable on a terminal, otherwise raw).",
      valueName: "auto|readable|raw"))
  var logLines = LogLines.auto

  func validate() throws {
    for (index, variable) in env.enumerated() where name(in: variable) == nil {
      // The message omits the text, because it may be a secret.
      throw ValidationError("--env #\(index + 1) must be NAME=VALUE, such as GREETING=hello.")
    }
    guard timeout >= 0.001, timeout <= 86_400 else {
      throw ValidationError("--timeout is \(timeout); expected 0.001 to 86400 seconds.")
    }
  }

  /// Throws if a handler's name is invalid.
  func check(handlers: [String]) throws {
    for handler in handlers {
      guard !handler.isEmpty, handler.utf8.count <= 128, handler.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
      else {
        throw ValidationError("--handler '\(handler)' isn't valid. Use 1 to 128 characters without spaces.")
      }
    }
    for variable in ["_HANDLER", "AWS_LAMBDA_FUNCTION_NAME"]
    where !handlers.isEmpty && env.contains(where: { name(in: $0) == variable }) {
      throw ValidationError("--handler and --env \(variable) are both given. Use --handler.")
    }
    if let twice = handlers.enumerated().first(where: { handlers.firstIndex(of: $1) != $0 }) {
      throw ValidationError("--handler \(twice.element) is given twice.")
    }
  }

  /// Returns the configurations of the program's functions, one for each handler. Without handlers, there is one function.
  /// If `mayBeMissing` is true, the program doesn't need to exist yet.
  func functions(
    _ handlers: [String], in environment: Environment, mayBeMissing: Bool = false
  ) throws -> [FunctionConfiguration] {
    let function = try function(in: environment, mayBeMissing)
    if handlers.isEmpty { return [function] }
    return handlers.map { handler in
      var selected = function
      selected.handler = handler
      selected.name = handler
      return selected
    }
  }

  /// Returns the function's configuration, with the relevant settings of `environment`.
  private func function(in environment: Environment, _ mayBeMissing: Bool) throws -> FunctionConfiguration {
    let path = try bootstrap ?? bootstrapBesideThisProgram()
    let isMissing = unsafe mayBeMissing && access(path, F_OK) != 0
    guard unsafe isMissing || access(path, X_OK) == 0 else {
      let reason = Errno.current
      throw CommandFailure(
        "Can't run the function's program \(path): \(reason). \(advice(on: reason))", status: .notRun)
    }
    guard isMissing || !isSpecialFile(path) else {
      throw CommandFailure(
        "Can't run the function's program \(path): it isn't a regular file.", status: .notRun)
    }
    var function = FunctionConfiguration(bootstrap: path, timeout: .seconds(timeout))
    function.inherit(from: environment)
    for variable in env {
      guard let name = name(in: variable) else { continue }
      function.environment[name] = String(variable.dropFirst(name.count + 1))
    }
    return function
  }

  /// Returns what to do if the program can't be run for `reason`.
  private func advice(on reason: Errno) -> String {
    if bootstrap == nil {
      return
        "Build it with `swift build --product bootstrap`, or choose another program with --bootstrap."
    }
    return reason == Errno(rawValue: EACCES)
      ? "Make it executable with chmod +x, and its directories accessible."
      : "Check the path given with --bootstrap."
  }

  /// Returns the name in `NAME=VALUE`; nil if the text has another form.
  private func name(in variable: String) -> String? {
    guard let end = variable.firstIndex(of: "="), end > variable.startIndex else { return nil }
    return String(variable[..<end])
  }

  private func bootstrapBesideThisProgram() throws -> String {
    let ownPath = try executablePath()
    let directory = ownPath.lastIndex(of: "/").map { ownPath[...$0] } ?? ""
    let beside = "\(directory)bootstrap"
    // The Debian package has it there, because its name is too general for /usr/bin.
    let inPackage = "\(directory)../lib/device-defender/bootstrap"
    return unsafe access(beside, X_OK) != 0 && access(inPackage, X_OK) == 0 ? inPackage : beside
  }
}

/// The help of `--handler`.
let handlerHelp =
  "The handler that the program runs. Sets _HANDLER and the function's name (default: the handler function_handler, the name device-defender)."

/// Returns the path of the running program (`/proc/self/exe`, proc(5)).
private func executablePath() throws -> String {
  var path = [CChar](repeating: 0, count: Int(PATH_MAX))
  let count = try retryingOnInterrupt { unsafe readlink("/proc/self/exe", &path, path.count) }
  return String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
