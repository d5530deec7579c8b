import Glibc
import Platform

/// A file with the certificate of the local AWS IoT endpoint, in a new directory that only this user can read.
struct CertificateFile: Sendable {
  let path: String
  private let directory: String

  /// Writes the file below `TMPDIR`, or below /tmp if that isn't set.
  init(_ certificate: [UInt8]) throws(CommandFailure) {
    let parent = Environment.ofThisProcess.value("TMPDIR") ?? "/tmp"
    var template = Array("\(parent)/defender-emulator-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw CommandFailure(
        "Can't create a directory in \(parent) for the endpoint's certificate: \(Errno.current). Set TMPDIR to another "
          + "directory.", status: .notRun)
    }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = "\(directory)/authority.pem"
    do throws(Errno) {
      let descriptor = try retryingOnInterrupt {
        unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      }
      try FileDescriptor(owning: descriptor).writeAll(certificate)
    } catch {
      remove()
      throw CommandFailure("Can't write the endpoint's certificate to \(path): \(error).", status: .notRun)
    }
  }

  /// Removes the file and its directory.
  func remove() {
    unsafe unlink(path)
    unsafe rmdir(directory)
  }
}
