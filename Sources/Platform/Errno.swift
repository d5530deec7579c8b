import Glibc

/// The error number of a failed system call (errno(3)).
public struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
  /// The number, such as `ENOENT` of Glibc.
  public let rawValue: Int32

  /// Creates an error from a value of `errno`.
  public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// The calling thread's `errno`. Read it before any other call can change it.
  @usableFromInline package static var current: Errno { Errno(rawValue: errno) }

  package static let brokenPipe = Errno(rawValue: EPIPE)
  package static let fileTooLarge = Errno(rawValue: EFBIG)
  package static let inProgress = Errno(rawValue: EINPROGRESS)
  @usableFromInline package static let interrupted = Errno(rawValue: EINTR)
  package static let invalidArgument = Errno(rawValue: EINVAL)
  /// The pipe has no reader (open(2)).
  package static let noReader = Errno(rawValue: ENXIO)
  package static let noSuchFile = Errno(rawValue: ENOENT)
  package static let notADirectory = Errno(rawValue: ENOTDIR)
  package static let notPermitted = Errno(rawValue: EPERM)
  package static let readOnlyFileSystem = Errno(rawValue: EROFS)
  /// The program is open for writing (execve(2)).
  package static let textFileBusy = Errno(rawValue: ETXTBSY)
  package static let timedOut = Errno(rawValue: ETIMEDOUT)
  package static let tooManyLinks = Errno(rawValue: ELOOP)
  package static let wouldBlock = Errno(rawValue: EAGAIN)

  /// The system's text for the error, such as `No such file or directory (errno 2)`.
  public var description: String {
    guard let words = unsafe strerror(rawValue) else { return "errno \(rawValue)" }
    return unsafe "\(String(cString: words)) (errno \(rawValue))"
  }
}

/// Returns the result of `call`, repeating it if a signal interrupts it; throws `Errno` if the result is negative.
///
/// `errno` is read only here, before another call can change it.
@inlinable
package func retryingOnInterrupt<Value: SignedInteger>(_ call: () -> Value) throws(Errno) -> Value {
  while true {
    let result = call()
    if result >= 0 { return result }
    let error = Errno.current
    if error != .interrupted { throw error }
  }
}
