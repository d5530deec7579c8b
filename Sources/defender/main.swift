import ArgumentParser
import Glibc
import Platform

resetInheritedState()
LostOutput.decideExit()

// Commands run in this thread, and some read their signals from a descriptor. No thread of the concurrency runtime may
// exist before that, because it could receive the signals.
let programs: [String: PythonCommandLine.Program] = [
  "agent": .agent, "collect": .collector, "doctor": .doctor,
]
let arguments = Array(CommandLine.arguments.dropFirst())
if CommandLine.argc == 0 {
  // A static executable finds its arguments in the process's memory mappings.
  Console().error("defender: Can't read the command line from /proc. Mount it: mount -t proc proc /proc")
  Defender.exit(withError: ExitCode(CommandFailure.Status.notRun.rawValue))
} else if let complaint = unsafe Defender.complaintAboutEncoding(CommandLine.unsafeArgv) {
  Console().error("defender: \(complaint)")
  Defender.exit(withError: ExitCode.validationFailure)
} else if let complaint = Defender.complaint(about: arguments) {
  Console().error("defender: \(complaint)")
  Defender.exit(withError: ExitCode.validationFailure)
}
do {
  var words = arguments
  if let name = arguments.first, let program = programs[name] {
    words = [name] + (try PythonCommandLine(Array(arguments.dropFirst()), for: program).arguments)
  }
  var command = try Defender.parseAsRoot(words)
  if let background = command as? any BackgroundCommand {
    runInBackground(background)
  } else {
    try command.run()
  }
} catch {
  exit(reporting: error)
}

/// Prints why a command failed, and exits with its status.
func exit(reporting error: any Error) -> Never {
  if let failure = error as? CommandFailure {
    Console().failure("defender: \(failure)")
    Defender.exit(withError: ExitCode(failure.status.rawValue))
  }
  Defender.exit(withError: error)
}

/// A command that runs on the concurrency runtime's threads.
protocol BackgroundCommand: AsyncParsableCommand, Sendable {}

/// Runs a command on the concurrency runtime's threads, and exits when it ends.
///
/// Top-level `await` would end this thread with pthread_exit(3), which unwinds its stack. A release has no unwind tables, and
/// without them glibc aborts.
func runInBackground(_ command: some BackgroundCommand) -> Never {
  Task.detached {
    do {
      var command = command
      try await command.run()
      Defender.exit()
    } catch {
      exit(reporting: error)
    }
  }
  while true { pause() }
}
