import Glibc
import Platform
import TestSupport
import Testing

/// All tests run concurrently in one process, so a program that a test starts must not inherit the descriptors of another test.
@Suite(.ownThreads) struct `Programs that tests start` {
  @Test func `hold no descriptor of another test`() async throws {
    // Descriptors from accept(2) and pipe(2) are inherited by default.
    let open = FileDescriptor(owning: try retryingOnInterrupt { fcntl(STDERR_FILENO, F_DUPFD, 700) })
    let list = ["-c", "ls /proc/self/fd; echo listed"]
    let directory = try TemporaryDirectory()
    let program = try ServerProgram("/bin/sh", list, log: "\(directory.path)/log")
    let end = BootTime.now.advanced(by: .seconds(60))
    while program.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    let terminal = try PseudoTerminal()
    try terminal.start(BuiltProgram(path: "/bin/sh"), list)
    #expect(try terminal.wait() == 0)
    for text in [String(decoding: try fileContents("\(directory.path)/log"), as: UTF8.self), terminal.output]
    {
      #expect(text.contains("listed") && !text.contains("\(open.rawValue)"), "\(text)")
    }
  }
}
