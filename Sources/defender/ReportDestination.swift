import CLinux
import DeviceDefender
import Glibc
import Platform
import WireFormats

/// The destination of reports: standard output, a pipe or device, or a file that replaces any existing file.
struct ReportDestination: ~Copyable {
  /// A file that replaces an existing one when the first report is complete.
  private var file: OutputFile?
  /// A pipe or device, which is closed with this value; nil for standard output, which stays open.
  private let special: FileDescriptor?
  private let descriptor: Int32
  private let name: String
  private let shutdown: ShutdownSignal

  /// Opens the destination; nil if the process was asked to stop while the named pipe at `path` had no
  /// reader.
  ///
  /// - Parameters:
  ///   - path: the path; nil and `-` mean standard output.
  ///   - shutdown: interrupts the wait for a reader that has stopped reading.
  /// - Throws: why the file can't be written.
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
    CommandFailure("Can't write the reports to '\(path)': \(reason).", status: .notRun)
  }

  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Writes a report for people, or as it is published. Returns false if it couldn't be written completely before
  /// the process was asked to stop.
  mutating func write(_ report: [UInt8], _ format: ReportFormat, isCompact: Bool) -> Bool {
    switch format {
    case .cbor: write(report)
    case .json: write(isCompact ? report + [UInt8(ascii: "\n")] : Array("\(readable(report))\n".utf8))
    }
  }

  /// Writes bytes unchanged.
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
      // A pipe that is writable accepts this much without blocking (pipe(7)), so the process can still be
      // asked to stop.
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
/// Waits until a named pipe has a reader. Returns nil if the process is asked to stop meanwhile, which
/// open(2) wouldn't notice.
private func open(_ path: String, or shutdown: ShutdownSignal) throws(Errno) -> Int32? {
  let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
  while true {
    do throws(Errno) {
      let descriptor = try retryingOnInterrupt { unsafe clinux_open(path, flags, 0o644) }
      // From here on, writes block as usual.
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
