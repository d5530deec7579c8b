import ArgumentParser
import Platform

resetInheritedState()
LostOutput.decideExit()

// These commands block in this thread and read their signals from a descriptor. No thread of the concurrency
// runtime may exist before that, because it could receive the signals.
let programs: [String: PythonCommandLine.Program] = ["agent": .agent, "collect": .collector]
let arguments = Array(CommandLine.arguments.dropFirst())
if let complaint = unsafe Defender.complaintAboutEncoding(CommandLine.unsafeArgv) {
  Console().error("defender: \(complaint)")
  Defender.exit(withError: ExitCode.validationFailure)
} else if let name = arguments.first, let program = programs[name] {
  do {
    let spelled = try PythonCommandLine(Array(arguments.dropFirst()), for: program).arguments
    var command = try Defender.parseAsRoot([name] + spelled)
    try command.run()
  } catch let failure as CommandFailure {
    Console().failure("defender: \(failure)")
    Defender.exit(withError: ExitCode(failure.status.rawValue))
  } catch {
    Defender.exit(withError: error)
  }
} else if let complaint = Defender.complaint(about: arguments) {
  Console().error("defender: \(complaint)")
  Defender.exit(withError: ExitCode.validationFailure)
} else {
  await runCommand()
}

/// Runs the other commands. A separate function, because only there `Defender.main()` means the asynchronous
/// one.
func runCommand() async {
  await Defender.main()
}
