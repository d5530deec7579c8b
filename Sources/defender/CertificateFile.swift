import Glibc
import Platform

/// A file with the certificate of the local AWS IoT endpoint, in a new directory that only this user can read.
struct CertificateFile: Sendable {
  let path: String
  private let directory: ScratchDirectory

  /// Writes the file.
  init(_ certificate: [UInt8]) throws(CommandFailure) {
    directory = try ScratchDirectory(for: "the endpoint's certificate")
    path = "\(directory.path)/authority.pem"
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
  func remove() { directory.remove() }
}
