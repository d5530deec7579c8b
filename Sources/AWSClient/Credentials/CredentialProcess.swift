import CLinux
import Glibc
import Platform
import WireFormats

/// A command that prints credentials ("Process credential provider", AWS SDKs and Tools Reference Guide).
///
/// Run by `/bin/sh`, as most of the AWS SDKs do, in a process group of its own, which ends with the time it has.
struct CredentialProcess {
  private static let outputLimit = 65_536
  private static let longestTime: Duration = .seconds(60)

  let command: String
  let shutdown: ShutdownSignal?

  func credentials(within timeout: Duration) throws(CredentialFailure) -> Credentials {
    let output: (bytes: [UInt8], errors: [UInt8], status: Int32)
    do throws(Errno) {
      output = try run(until: BootTime.now.advanced(by: min(timeout, Self.longestTime)))
    } catch .timedOut {
      throw CredentialFailure("credential_process took too long and was ended")
    } catch .fileTooLarge {
      throw CredentialFailure("credential_process printed more than \(Self.outputLimit) bytes and was ended")
    } catch {
      throw CredentialFailure("credential_process couldn't be run: \(error)")
    }
    guard output.status == 0 else {
      // The lower seven bits of a wait status are a signal, the next eight what the process said (wait(2)).
      let signal = output.status & 0x7F
      let end =
        signal == 0 ? "exited with status \(output.status >> 8 & 0xFF)" : "was ended by signal \(signal)"
      let words = trimmingBlanks(String(decoding: output.errors.prefix(500), as: UTF8.self))
      throw CredentialFailure("credential_process \(end): \(escapingControlCharacters(words))")
    }
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: output.bytes)
    } catch {
      throw CredentialFailure("credential_process: the output is \(error)")
    }
    guard document["Version"]?.integer() == 1 else {
      throw CredentialFailure("credential_process: the output's Version isn't 1")
    }
    return try Credentials(document, .process)
  }

  private func run(until deadline: BootTime) throws(Errno) -> ([UInt8], [UInt8], Int32) {
    let output = try Pipe()
    let errors = try Pipe()
    let child = try spawn(output: output.input.rawValue, errors: errors.input.rawValue)
    var status: Int32?
    defer {
      if status == nil {
        // The group, because the shell's children would stay otherwise.
        kill(-child, SIGKILL)
        _ = waitpid(child, nil, 0)
      }
    }
    // The child's ends are closed here, or the pipes would never end.
    let outputEnd = output.closingInput()
    let errorsEnd = errors.closingInput()
    let (bytes, errorBytes) = try collect(outputEnd, errorsEnd, until: deadline)
    while status == nil {
      var code: Int32 = 0
      let ended = try retryingOnInterrupt { unsafe waitpid(child, &code, WNOHANG) }
      if ended == child {
        status = code
        break
      }
      // It has closed its output and is about to end.
      guard BootTime.now < min(deadline, shutdown?.graceEnd ?? deadline) else { throw .timedOut }
      _ = poll(nil, 0, 2)
    }
    return (bytes, errorBytes, status ?? 0)
  }

  /// Reads both pipes to their ends.
  private func collect(
    _ output: borrowing FileDescriptor, _ errors: borrowing FileDescriptor, until deadline: BootTime
  ) throws(Errno) -> ([UInt8], [UInt8]) {
    var buffers: [[UInt8]] = [[], []]
    var descriptors = [output.rawValue, errors.rawValue]
    while descriptors != [-1, -1] {
      let graceEnd = shutdown?.graceEnd
      let left = BootTime.now.duration(to: min(deadline, graceEnd ?? deadline)).millisecondsForTimeout
      guard left > 0 else { throw .timedOut }
      let stop = graceEnd == nil ? shutdown?.descriptor ?? -1 : -1
      var waits = (descriptors + [stop]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = try retryingOnInterrupt { unsafe poll(&waits, 3, left) }
      for (index, wait) in waits.prefix(2).enumerated() where wait.revents != 0 {
        let count =
          index == 0
          ? try output.read(into: &buffers[0], limit: 4_096)
          : try errors.read(into: &buffers[1], limit: 4_096)
        if count == 0 { descriptors[index] = -1 }
        if buffers[index].count > Self.outputLimit { throw .fileTooLarge }
      }
    }
    return (buffers[0], buffers[1])
  }

  private func spawn(output: Int32, errors: Int32) throws(Errno) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // This process may block SIGTERM and SIGINT; its child is to be stoppable.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe posix_spawnattr_setsigmask(&attributes, &signals)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    let flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP)
    unsafe posix_spawnattr_setflags(&attributes, flags)
    let words = unsafe ["sh", "-c", command].map { (word: String) in unsafe strdup(word) }
    defer { unsafe words.forEach { unsafe free($0) } }
    var child: pid_t = 0
    let result = unsafe posix_spawn(&child, "/bin/sh", &actions, &attributes, words + [nil], environ)
    guard result == 0 else { throw Errno(rawValue: result) }
    return child
  }
}

/// Both ends of a pipe(2).
private struct Pipe: ~Copyable {
  let output: FileDescriptor
  let input: FileDescriptor

  init() throws(Errno) {
    var ends: [Int32] = [-1, -1]
    _ = try retryingOnInterrupt { unsafe pipe(&ends) }
    // Without pipe2(2), which Swift's Glibc leaves out; this process has one thread, so nobody forks in between.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    output = FileDescriptor(owning: ends[0])
    input = FileDescriptor(owning: ends[1])
  }

  consuming func closingInput() -> FileDescriptor { output }
}
