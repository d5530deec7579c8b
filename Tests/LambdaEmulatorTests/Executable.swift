import Glibc
import Platform
import TestSupport

extension TemporaryDirectory {
  /// Writes an executable shell script and returns its path.
  func executable(_ script: String) throws -> String {
    let path = try write("bootstrap", "#!/bin/sh\n\(script)\n")
    guard unsafe chmod(path, 0o700) == 0 else { throw Errno.current }
    return path
  }
}
