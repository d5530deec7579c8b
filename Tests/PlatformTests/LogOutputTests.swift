import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing
import WireFormats

@testable import Platform

@Suite(.ownThreads) final class `The output of a log` {
  /// Whether the output may open a pipe a second time; if not, it polls the pipe.
  static let ways = [true, false]

  private let directory: TemporaryDirectory
  private let pipe: UnreadPipe
  /// A blocking descriptor, as a service manager passes it.
  private let descriptor: FileDescriptor

  init() throws {
    directory = try TemporaryDirectory()
    pipe = try UnreadPipe(in: directory)
    descriptor = FileDescriptor(owning: unsafe open(pipe.path, O_WRONLY | O_CLOEXEC))
    try #require(descriptor.rawValue >= 0)
  }

  private static func note(_ lines: Int, _ reason: Errno) -> [UInt8] {
    Array("lost \(lines): \(reason == .wouldBlock ? "unread" : "\(reason.rawValue)")\n".utf8)
  }

  /// Writes `lines` on a separate thread; returns false if that takes a minute, for example because a write blocks.
  private func write(_ lines: [String], to output: LogOutput) -> Bool {
    nonisolated(unsafe) let output = output
    let done = DispatchSemaphore(value: 0)
    DispatchQueue(label: "writer").async {
      for line in lines { unsafe output.write(Array(line.utf8), afterLosses: Self.note) }
      done.signal()
    }
    return done.wait(timeout: .now() + 60) == .success
  }

  @Test(arguments: ways)
  func `drops lines that nobody reads, and reports their number to the next reader`(mayReopen: Bool) throws {
    let output = LogOutput(descriptor.rawValue, mayReopen: mayReopen)
    let start = BootTime.now
    // If each line waited for the reader, these would take 100 s.
    try #require(write((1...1_000).map { "line \($0)\n" }, to: output))
    #expect(start.duration(to: .now) < .seconds(50))
    #expect(try pipe.drain() == "")
    try #require(write(["first\n", "second\n"], to: output))
    #expect(try pipe.drain() == "lost 1000: unread\nfirst\nsecond\n")
  }

  @Test(arguments: ways)
  func `writes a long line completely if it only fits in parts`(mayReopen: Bool) throws {
    let output = LogOutput(descriptor.rawValue, mayReopen: mayReopen)
    _ = try pipe.drain()
    let long = String(repeating: "x", count: 100_000) + "\n"
    try #require(write([long, "lost\n"], to: output))
    var text = try pipe.drain()
    #expect(text.utf8.count < long.utf8.count)
    try #require(write(["next\n"], to: output))
    text += try pipe.drain()
    #expect(text == long + "lost 1: unread\nnext\n")
  }

  @Test(arguments: ways)
  func `waits briefly for a slow reader`(mayReopen: Bool) throws {
    let output = LogOutput(descriptor.rawValue, mayReopen: mayReopen)
    _ = try pipe.drain()
    let text = Mutex("")
    let done = DispatchSemaphore(value: 0)
    let isWritten = Mutex(false)
    nonisolated(unsafe) let pipe = pipe
    DispatchQueue(label: "reader").async {
      var read = ""
      _ = try? unsafe pipe.read(&read) { $0.hasSuffix("end\n") || isWritten.withLock { $0 } }
      read += (try? unsafe pipe.drain()) ?? ""
      text.withLock { [read] in $0 = read }
      done.signal()
    }
    let lines = (1...10).map { _ in String(repeating: "x", count: 50_000) + "\n" } + ["end\n"]
    let start = BootTime.now
    try #require(write(lines, to: output))
    let duration = start.duration(to: .now)
    isWritten.withLock { $0 = true }
    try #require(done.wait(timeout: .now() + 60) == .success)
    // On a busy machine the reader may not run for 100 ms. Only a line that waited that long may be lost.
    let read = text.withLock { $0 }
    #expect(read == lines.joined() || duration >= LogOutput.patience)
  }

  @Test func `doesn't change the flags of the descriptor, which others share`() throws {
    let output = LogOutput(descriptor.rawValue)
    try #require(write(["x\n"], to: output))
    #expect(fcntl(descriptor.rawValue, F_GETFL) & O_NONBLOCK == 0)
  }

  @Test func `doesn't wait for a socket that nobody reads`() throws {
    var ends: [Int32] = [-1, -1]
    try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    let reader = FileDescriptor(owning: ends[0])
    let writer = FileDescriptor(owning: ends[1])
    let output = LogOutput(writer.rawValue)
    let line = String(repeating: "x", count: 4_000) + "\n"
    try #require(write(Array(repeating: line, count: 1_000), to: output))
    var bytes: [UInt8] = []
    var wait = pollfd(fd: reader.rawValue, events: Int16(POLLIN), revents: 0)
    while unsafe poll(&wait, 1, 0) > 0 { _ = try reader.read(into: &bytes, limit: 65_536) }
    try #require(write(["after\n"], to: output))
    _ = try reader.read(into: &bytes, limit: 65_536)
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    let whole = lines.count { $0.utf8.count == 4_000 }
    #expect(whole < 1_000)
    #expect(lines.dropFirst(whole) == ["lost \(1_000 - whole): unread", "after"])
  }

  @Test func `counts lines that are lost to a full file system or a closed pipe`() throws {
    let full = FileDescriptor(owning: unsafe open("/dev/full", O_WRONLY | O_CLOEXEC))
    let target = FileDescriptor(
      owning: try retryingOnInterrupt { fcntl(full.rawValue, F_DUPFD_CLOEXEC, 700) })
    let output = LogOutput(target.rawValue)
    try #require(write(["one\n", "two\n"], to: output))
    // Gives the same descriptor number to a file that accepts lines.
    let file = try directory.write("file", "")
    let healthy = FileDescriptor(owning: unsafe open(file, O_WRONLY | O_CLOEXEC))
    try #require(dup2(healthy.rawValue, target.rawValue) >= 0)
    try #require(write(["three\n"], to: output))
    let text = String(decoding: try readFile(file, limit: 1_000), as: UTF8.self)
    #expect(text == "lost 2: \(ENOSPC)\nthree\n")
  }
}
