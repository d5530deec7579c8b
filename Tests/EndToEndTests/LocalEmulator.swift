import Glibc
import Platform
import TestSupport
import Testing

/// Starts the emulator with the arguments, and returns it with the lines that it prints to be pasted.
func startEmulator(_ arguments: [String], in directory: TemporaryDirectory) throws -> (
  program: ServerProgram, pasted: String, log: String
) {
  let log = "\(directory.path)/log"
  let program = try ServerProgram(
    try BuiltProgram("defender").path, ["emulator"] + arguments,
    environment: ["TMPDIR": directory.path, "AWS_REGION": "eu-west-1"], log: log)
  let deadline = BootTime.now.advanced(by: .seconds(60))
  while true {
    let text = (try? fileContents(log)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    // The last line that it prints before it serves.
    if text.contains("/invocations\n") {
      let pasted = text.split(separator: "\n").filter { $0.hasPrefix("  export ") }
      return (program, pasted.joined(separator: "\n"), log)
    }
    try #require(BootTime.now < deadline && program.isRunning, "\(text)")
    poll(nil, 0, 10)
  }
}

/// Runs a shell script after the lines that the emulator printed.
func paste(_ lines: String, _ command: String) async throws -> BuiltProgram.Result {
  try await BuiltProgram(path: "/bin/sh").run(
    ["-c", "\(lines)\n\(command)"], environment: ["HOME": "/nowhere", "PATH": "/usr/bin:/bin"])
}
