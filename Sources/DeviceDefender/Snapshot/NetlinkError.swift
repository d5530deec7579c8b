import Glibc
import Platform

/// Why a netlink request failed.
enum NetlinkError: Error, Equatable {
  /// The kernel, or a filter such as seccomp, rejected the request.
  case refused(Errno)
  /// The exchange with the kernel failed.
  case failed(Errno)
  /// The answer doesn't conform to netlink(7).
  case malformed(String)

  /// Whether a retry can't succeed: no such family or handler, or no permission.
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
