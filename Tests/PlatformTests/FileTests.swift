import Glibc
import Platform
import TestSupport
import Testing

@Suite struct `A file to read` {
  @Test func `reads files whose stated size is 0`() throws {
    let contents = try readFile("/proc/self/status", limit: 100_000)
    #expect(String(decoding: contents, as: UTF8.self).hasPrefix("Name:"))
  }

  @Test(arguments: [("/nonexistent", Errno(rawValue: ENOENT)), ("/proc", Errno(rawValue: EISDIR))])
  func `reports why a file can't be read`(path: String, error: Errno) {
    #expect(throws: error) { try readFile(path, limit: 1_000) }
  }

  @Test func `rejects a file that never ends`() {
    #expect(throws: Errno(rawValue: EFBIG)) { try readFile("/dev/zero", limit: 200_000) }
  }

  @Test(arguments: ["/dev/null", "/proc/self/status"])
  func `reads a file given by a user's path`(path: String) throws {
    let contents = try readFile(path, limit: 100_000, patience: .seconds(20))
    #expect(contents.isEmpty == (path == "/dev/null"))
  }

  @Test func `waits for a pipe, but not beyond the deadline`() throws {
    let path = "\(try TemporaryDirectory().path).pipe"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    defer { unsafe unlink(path) }
    #expect(throws: Errno.wouldBlock) { try readFile(path, limit: 10, patience: .milliseconds(50)) }
    guard let writer = unsafe fopen(path, "r+") else { throw Errno.current }
    unsafe fputs("secret", writer)
    unsafe fflush(writer)
    // The writer is still open, so the end of the pipe hasn't come.
    #expect(throws: Errno.wouldBlock) { try readFile(path, limit: 10, patience: .milliseconds(50)) }
    unsafe fclose(writer)
    #expect(Errno.wouldBlock.ofFile == "it isn't a regular file, and the deadline passed before its end")
    #expect(Errno.noSuchFile.ofFile == Errno.noSuchFile.description)
  }

  @Test func `distinguishes regular files from other paths`() throws {
    let directory = try TemporaryDirectory()
    #expect(isSpecialFile(try directory.makePipe("pipe")) && isSpecialFile(directory.path))
    #expect(isSpecialFile("/dev/null"))
    #expect(!isSpecialFile(try directory.write("file", "")) && !isSpecialFile("\(directory.path)/none"))
  }

  @Test func `describes errors in the system's words, with their number`() {
    #expect(Errno(rawValue: ENOENT).description == "No such file or directory (errno 2)")
  }

  @Test(
    arguments: [
      ([:], nil), (["A": ""], nil), (["A": "", "B": "2"], "2"), (["A": "1", "B": "2"], "1"),
    ] as [([String: String], String?)])
  func `uses the first variable that isn't empty`(variables: [String: String], value: String?) {
    #expect(Environment(variables).value("A", "B") == value)
  }

  @Test func `reads the same arguments as Swift`() {
    #expect(programArguments() == Array(CommandLine.arguments.dropFirst()))
    #expect(!programArguments().isEmpty)
  }

  @Test func `sees the variables of this process`() {
    #expect(Environment.ofThisProcess["PATH"]?.isEmpty == false)
  }
}
