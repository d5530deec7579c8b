import DefenderAgent
import Glibc
import Platform
import WireFormats

/// The environment file that does what a command line of `defender agent` does: `--print-environment`.
struct EnvironmentFile {
  /// The variables of files on the device, which may be missing on the machine that prints.
  private static let filesOfDevice: Set<String> = [
    "AWS_CA_BUNDLE", "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE", "DEFENDER_STATE_DIRECTORY",
  ]
  /// The variables whose relative paths a service would look up in another directory.
  private static let relativePaths = [
    "AWS_CA_BUNDLE", "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE",
  ]

  /// The lines of the file, without a line end after the last one.
  let text: String

  /// Creates the file from what the options set: `alone` over an empty environment, and `variables` over `inherited`.
  init(alone: Environment, variables: Environment, over inherited: Environment) throws {
    var set = variables.all.filter { alone[$0.key] != nil || inherited[$0.key] != $0.value }
    for name in Self.relativePaths where alone[name]?.isEmpty == false {
      set[name] = try set[name].map(absolutePath)
    }
    var lines = [
      "# What the options of `defender agent` set, for `bootstrap agent`. Valid for systemd (EnvironmentFile=) and sh."
    ]
    if set["HTTPS_PROXY"]?.contains("@") == true {
      lines.append("# HTTPS_PROXY may have a password: let only root read this file.")
    }
    let others = (Variable.allCases.map(\.rawValue) + ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"])
      .filter { inherited.value($0) != nil && set[$0] == nil }
    if !others.isEmpty {
      lines.append(
        "# Set in the environment of this command, and not included: \(others.joined(separator: ", ")).")
    }
    for (name, value) in set.sorted(by: { $0.key < $1.key }) {
      lines.append("\(name)=\(try quoted(value, of: name))")
    }
    text = lines.joined(separator: "\n")
  }

  /// Returns the mistakes in `variables`: those that the device has, too, and those in files that may exist only there.
  static func mistakes(
    in variables: Environment
  ) -> (errors: [ConfigurationError.Mistake], warnings: [ConfigurationError.Mistake]) {
    var mistakes: [ConfigurationError.Mistake] = []
    _ = Configuration(variables, transport: .mqtt, noting: &mistakes)
    let isOfFile = { (mistake: ConfigurationError.Mistake) in
      filesOfDevice.contains(mistake.variable) && variables.value(mistake.variable) != nil
    }
    return (mistakes.filter { !isOfFile($0) }, mistakes.filter(isOfFile))
  }
}

/// Returns `value` as systemd.exec(5), `EnvironmentFile=`, and a POSIX shell read it.
///
/// Within double quotes, both take a backslash before `"`, `\`, `` ` `` and `$` as an escape, and any other one literally.
private func quoted(_ value: String, of name: String) throws(CommandFailure) -> String {
  guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
    throw CommandFailure(
      "\(name) has a control character, which an environment file can't hold. Remove it.", status: .notRun)
  }
  let isPlain =
    !value.isEmpty && value.utf8.allSatisfy { isLetterOrDigit($0) || "_-+./:,@%".utf8.contains($0) }
  if isPlain { return value }
  return "\"" + value.map { "\"\\`$".contains($0) ? "\\\($0)" : "\($0)" }.joined() + "\""
}

/// Returns `path` as an absolute path.
func absolutePath(_ path: String) throws -> String {
  if path.hasPrefix("/") { return path }
  guard let directory = unsafe getcwd(nil, 0) else { throw Errno.current }
  defer { unsafe free(directory) }
  return unsafe "\(String(cString: directory))/\(path)"
}
