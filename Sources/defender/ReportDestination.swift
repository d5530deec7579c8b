import CLinux
import DeviceDefender
import Glibc
import Platform
import WireFormats

/// Where reports are written: standard output, a pipe or device, or a file that replaces any existing file.
struct ReportDestination: ~Copyable {
  /// A file that takes the place of what has its name with the first report that is whole.
  private var file: OutputFile?
  /// A pipe or device, kept open, and closed with its owner; nil for standard output, which is somebody else's.
  private let special: FileDescriptor?
  private let descriptor: Int32
  private let name: String
  private let shutdown: ShutdownSignal

  /// Opens the file; nil where the process was asked to stop while nobody read the named pipe at `path`.
  ///
  /// - Parameters:
  ///   - path: the file; nil and `-` are standard output.
  ///   - shutdown: what ends a wait for a reader that reads no further.
  /// - Throws: a failure that says why the file can't be written.
  init?(path: String?, shutdown: ShutdownSignal) throws(CommandFailure) {
    self.shutdown = shutdown
    guard let path, path != "-" else {
      file = nil
      special = nil
      descriptor = STDOUT_FILENO
      name = "standard output"
      return
    }
    name = "'\(path)'"
    file = try Self.file(path)
    if file != nil {
      special = nil
      descriptor = -1
      return
    }
    do throws(Errno) {
      guard let opened = try open(path, or: shutdown) else { return nil }
      descriptor = opened
      special = FileDescriptor(owning: descriptor)
    } catch {
      throw Self.failure(path, "\(error)")
    }
  }

  private static func file(_ path: String) throws(CommandFailure) -> OutputFile? {
    do throws(OutputFileError) {
      return try OutputFile.open(path)
    } catch {
      throw failure(path, "\(error)")
    }
  }

  private static func failure(_ path: String, _ reason: String) -> CommandFailure {
    CommandFailure("The reports can't be written to '\(path)': \(reason).", status: .notRun)
  }

  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Writes a report as it is for people, or as it is sent; returns whether all of it could be written, and before the
  /// process was asked to stop.
  mutating func write(_ report: [UInt8], _ format: ReportFormat, isCompact: Bool) -> Bool {
    switch format {
    case .cbor: write(report)
    case .json: write(isCompact ? report + [UInt8(ascii: "\n")] : Array("\(readable(report))\n".utf8))
    }
  }

  /// Writes bytes as they are.
  mutating func write(_ bytes: [UInt8]) -> Bool {
    if file != nil {
      do throws(Errno) {
        try file?.append(bytes)
        try file?.publish()
        return true
      } catch {
        LostOutput.note(error, to: name)
        return false
      }
    }
    var rest = bytes[...]
    while !rest.isEmpty {
      guard waitForReader() else { return false }
      // As much as a pipe takes that has become writable (pipe(7)): the process can still be asked to stop.
      let piece = Array(rest.prefix(4_096))
      do throws(Errno) {
        try writeAll(piece, to: descriptor)
      } catch {
        LostOutput.note(error, to: name)
        return false
      }
      rest = rest.dropFirst(piece.count)
    }
    return true
  }

  private func waitForReader() -> Bool {
    var waits = [
      pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    while unsafe poll(&waits, nfds_t(waits.count), -1) < 0, errno == EINTR {}
    return waits[0].revents != 0 || !shutdown.isRequested
  }
}

/// Opens a pipe or a device.
///
/// A named pipe is waited for until somebody reads it, or the process is asked to stop, which open(2) wouldn't hear of:
/// then it returns nil.
private func open(_ path: String, or shutdown: ShutdownSignal) throws(Errno) -> Int32? {
  let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
  while true {
    do throws(Errno) {
      let descriptor = try retryingOnInterrupt { unsafe clinux_open(path, flags, 0o644) }
      // Whatever else it is, it is written to as ever.
      _ = fcntl(descriptor, F_SETFL, 0)
      return descriptor
    } catch {
      guard error == .noReader, isSpecialFile(path) else { throw error }
    }
    var wait = pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0)
    _ = unsafe poll(&wait, 1, 100)
    if shutdown.isRequested { return nil }
  }
}
