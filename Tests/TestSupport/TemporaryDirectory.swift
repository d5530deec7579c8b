import Glibc
import Platform

/// A directory for a test, which is removed with its contents when its owner is destroyed.
package final class TemporaryDirectory: Sendable {
  package let path: String

  package init() throws {
    var template = Array("/tmp/device-defender-test-XXXXXX".utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
      unsafe buffer.baseAddress.flatMap { unsafe mkdtemp($0) }.map { unsafe String(cString: $0) }
    }
    guard let made else { throw Errno.current }
    path = made
  }

  deinit {
    Self.removeAll(in: path)
    unsafe rmdir(path)
  }

  private static func removeAll(in path: String) {
    guard let directory = unsafe opendir(path) else { return }
    defer { unsafe closedir(directory) }
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name == "." || name == ".." { continue }
      if unsafe unlink("\(path)/\(name)") != 0 {
        removeAll(in: "\(path)/\(name)")
        unsafe rmdir("\(path)/\(name)")
      }
    }
  }

  /// Writes a file below the directory, creates its parent directories, and returns its path.
  @discardableResult
  package func write(_ name: String, _ contents: [UInt8]) throws -> String {
    var directory = path
    for part in name.split(separator: "/").dropLast() {
      directory += "/\(part)"
      guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw Errno.current }
    }
    let file = "\(path)/\(name)"
    let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Errno.current }
    try FileDescriptor(owning: descriptor).writeAll(contents)
    return file
  }

  /// Writes a program below the directory and returns its path.
  ///
  /// This process never opens the program for writing. If another thread forked while it is open here, the child would keep it
  /// open until its execve(2), and until then the program couldn't be executed: "Text file busy". So cp(1) writes it.
  @discardableResult
  package func writeProgram(_ name: String, _ contents: [UInt8]) throws -> String {
    let source = try write("\(name).source", contents)
    guard unsafe chmod(source, 0o700) == 0 else { throw Errno.current }
    var program = Program("/bin/cp", outputLimit: 1_000)
    program.arguments = ["--", source, "\(path)/\(name)"]
    _ = try program.output(until: .now.advanced(by: .seconds(60)))
    guard unsafe unlink(source) == 0 else { throw Errno.current }
    return "\(path)/\(name)"
  }

  @discardableResult
  package func writeProgram(_ name: String, _ text: String) throws -> String {
    try writeProgram(name, Array(text.utf8))
  }

  /// Creates a named pipe without a writer below the directory, and returns its path.
  package func makePipe(_ name: String) throws -> String {
    guard unsafe mkfifo("\(path)/\(name)", 0o600) == 0 else { throw Errno.current }
    return "\(path)/\(name)"
  }

  /// Removes a file below the directory.
  package func remove(_ name: String) throws {
    guard unsafe unlink("\(path)/\(name)") == 0 else { throw Errno.current }
  }

  @discardableResult
  package func write(_ name: String, _ text: String) throws -> String {
    try write(name, Array(text.utf8))
  }
}
