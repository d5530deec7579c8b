import Platform
import WireFormats

/// A command that prints credentials ("Process credential provider", AWS SDKs and Tools Reference Guide).
///
/// `/bin/sh` runs it, as in most of the AWS SDKs. Neither the command nor its standard error gets into a log or an
/// error, because both may hold a secret. Its standard error is `/dev/null`, although it often has a hint to log in: a
/// password or a one-time code among words doesn't look like a secret, so masking can't be relied on.
struct CredentialProcess {
  private static let outputLimit = 65_536

  let command: String
  let environment: Environment
  let time: any Waiter
  /// The time that the command may take if the deadline allows more.
  var longestTime: Duration = .seconds(60)

  func credentials(until deadline: BootTime) throws(CredentialFailure) -> Credentials {
    guard !trimmingBlanks(command).isEmpty else {
      throw CredentialFailure(
        "credential_process is empty. Name a command that prints credentials, or remove the line")
    }
    var shell = Program("/bin/sh", outputLimit: Self.outputLimit)
    shell.arguments = ["-c", command]
    shell.environment = environment.all
    let output: [UInt8]
    do throws(ProgramError) {
      output = try shell.output(
        until: .now.advanced(by: min(time.bootTime.duration(to: deadline), longestTime)),
        or: time.shutdownSignal)
    } catch {
      throw CredentialFailure("credential_process: \(error). Run it by hand to see its error output")
    }
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: output)
    } catch {
      throw CredentialFailure("credential_process: the output is not JSON at byte \(error.offset)")
    }
    guard document["Version"]?.integer() == 1 else {
      throw CredentialFailure("credential_process: the output's Version isn't 1")
    }
    return try Credentials(document, .process)
  }
}
