import Glibc
import Platform

/// Why netlink didn't answer.
enum NetlinkError: Error, Equatable {
  /// The kernel, or a filter before it, doesn't do this here.
  case refused(Errno)
  /// The conversation broke.
  case failed(Errno)
  /// The answer isn't what netlink(7) says.
  case malformed(String)

  /// Whether asking again would be no use: no such family or handler, or not allowed.
  var isLasting: Bool {
    guard case .refused(let errno) = self else { return false }
    let lasting = [
      EACCES, EAFNOSUPPORT, ECONNREFUSED, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EPROTONOSUPPORT,
      ESOCKTNOSUPPORT,
    ]
    return lasting.contains(errno.rawValue)
  }
}

extension NetlinkError: CustomStringConvertible {
  var description: String {
    switch self {
    case .refused(let errno), .failed(let errno): "\(errno)"
    case .malformed(let reason): "malformed answer: \(reason)"
    }
  }
}
