import ArgumentParser

// The agent blocks and waits in this one thread, and reads its signals from a descriptor: no thread of the concurrency
// runtime, which could take them, may exist before that.
let arguments = CommandLine.arguments.dropFirst()
if arguments.first == "agent" {
  do {
    let spelled = try PythonCommandLine(Array(arguments.dropFirst())).arguments
    var command = try Defender.parseAsRoot(["agent"] + spelled)
    try command.run()
  } catch let failure as CommandFailure {
    Console().error("defender: \(failure)")
    Defender.exit(withError: ExitCode(failure.status.rawValue))
  } catch {
    Defender.exit(withError: error)
  }
} else if let word = arguments.first, let complaint = Defender.complaint(about: word) {
  Console().error("defender: \(complaint)")
  Defender.exit(withError: ExitCode.validationFailure)
} else {
  await runCommand()
}

/// Runs whichever command it is; in a function of its own because only there the asynchronous `main` is meant.
func runCommand() async {
  await Defender.main()
}
