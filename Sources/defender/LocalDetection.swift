import ArgumentParser
import FleetDetection
import Glibc
import LambdaEmulator
import Platform

/// The options that `invoke` and `emulator` share: the profiles that a local `detect_handler` evaluates.
struct DetectionOptions: ParsableArguments {
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Evaluate the reports that are published, like a fleet's, with these security profiles (default: none).",
      valueName: "file"), completion: .file())
  var detect: [String] = []

  @Option(
    help: ArgumentHelp(
      "Keep the state of --detect in this file (default: a temporary file).", valueName: "file"),
    completion: .file())
  var detectState: String?

  func validate() throws {
    if detectState != nil, detect.isEmpty {
      throw ValidationError("--detect-state needs --detect and a profile.")
    }
    if detectState == "" { throw ValidationError("--detect-state is empty; name a file.") }
  }

  /// Returns the second function of the emulator; nil without `--detect`. `function` is the first one.
  func detection(beside function: FunctionConfiguration, _ console: Console) throws -> LocalDetection? {
    detect.isEmpty
      ? nil : try LocalDetection(detect, stateFile: detectState, beside: function, console)
  }
}

/// A local `detect_handler`: its configuration and its files.
struct LocalDetection: Sendable {
  /// The topic of its events. Only the emulator receives them.
  private static let topic = "device-defender/{thing}/violations"
  /// The variables of a fleet's function that have the same meaning here.
  private static let inherited = [
    "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "DETECT_RETENTION_DAYS", "DETECT_SILENT_AFTER_SECONDS",
    "SWIFT_BACKTRACE",
  ]

  let function: FunctionConfiguration
  /// The names of the profiles.
  let profiles: [String]
  private let directory: ScratchDirectory

  /// Checks the profiles, and links them in a new directory, so that a changed one takes effect as it does in AWS.
  init(
    _ files: [String], stateFile: String?, beside function: FunctionConfiguration, _ console: Console
  ) throws {
    var names: [String: String] = [:]
    for file in files {
      let name = try Self.check(file, console)
      if let other = names.updateValue(file, forKey: name) {
        throw CommandFailure(
          "Both \(other) and \(file) have the profile '\(name)'. Give one of them another securityProfileName.",
          status: .notRun)
      }
    }
    profiles = names.keys.sorted()
    let directory = try ScratchDirectory(for: "the files of --detect")
    self.directory = directory
    var detection = FunctionConfiguration(bootstrap: function.bootstrap, timeout: function.timeout)
    detection.handler = "detect_handler"
    detection.name = "device-defender-detect"
    detection.region = function.region
    do {
      for (index, file) in files.enumerated() {
        let folder = "\(directory.path)/profiles-\(index)"
        let link = "\(folder)/\(Self.baseName(file)).json"
        guard unsafe mkdir(folder, 0o700) == 0, unsafe symlink(try absolutePath(file), link) == 0 else {
          throw Errno.current
        }
      }
      let all = Environment.ofThisProcess.all
      for name in Self.inherited { detection.environment[name] = all[name] }
      detection.environment["DETECT_PROFILES"] = files.indices.map { "\(directory.path)/profiles-\($0)" }
        .joined(separator: ",")
      detection.environment["DETECT_STATE_FILE"] =
        try stateFile.map(absolutePath) ?? "\(directory.path)/state.json"
      detection.environment["DETECT_ALARMS_TOPIC"] = Self.topic
    } catch let error as Errno {
      directory.remove()
      throw CommandFailure(
        "Can't prepare the files of --detect in \(directory.path): \(error).", status: .notRun)
    }
    self.function = detection
  }

  /// Removes the temporary files.
  func remove() { directory.remove() }

  /// Checks a profile; returns its name.
  private static func check(_ file: String, _ console: Console) throws(CommandFailure) -> String {
    guard !isSpecialFile(file) else {
      throw CommandFailure("\(file): It isn't a regular file.", status: .notRun)
    }
    do {
      let text = try readFile(file, limit: 8 << 20, patience: .seconds(5))
      let profile = try FleetProfile(parsing: text, name: baseName(file))
      for warning in profile.warnings {
        console.error("defender: \(escapingControlCharacters("\(file): \(warning)"))")
      }
      return profile.name
    } catch let error as Errno {
      throw CommandFailure("\(file): It can't be read: \(error.ofFile).", status: .notRun)
    } catch {
      throw CommandFailure("\(file): \(error)", status: .notRun)
    }
  }

  /// Returns the file's name without its directory and `.json`: the name of a profile that has none.
  private static func baseName(_ file: String) -> String {
    let name = file.split(separator: "/").last ?? "profile"
    return String(name.hasSuffix(".json") && name.count > 5 ? name.dropLast(5) : name)
  }
}
