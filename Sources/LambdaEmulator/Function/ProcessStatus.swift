import Glibc
package import Platform

/// How a process ended.
package enum ProcessStatus: Equatable, Sendable, CustomStringConvertible {
  case code(Int32)
  case signal(Int32)

  /// Decodes a status from waitpid(2).
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7F
    self = signal == 0 ? .code(waitStatus >> 8 & 0xFF) : .signal(signal)
  }

  /// The status in Lambda's wording, such as `exit status 1` or `signal: aborted`.
  package var description: String {
    switch self {
    case .code(let code): return "exit status \(code)"
    case .signal(let signal):
      guard let words = unsafe strsignal(signal) else { return "signal: \(signal)" }
      return unsafe "signal: \(String(cString: words).lowercased())"
    }
  }
}

/// The error if a program can't be started.
package struct LaunchError: Error, Equatable, Sendable, CustomStringConvertible {
  package let program: String
  package let reason: Errno

  package var description: String {
    let advice =
      reason.rawValue == ENOEXEC
      ? ". It isn't a program for this machine's processor. Build it for this one" : ""
    return "can't start \(program): \(reason)\(advice)"
  }
}
