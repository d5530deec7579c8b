import Glibc
import Platform
import TestSupport

extension TemporaryDirectory {
  /// Writes an executable shell script and returns its path.
  func executable(_ script: String) throws -> String {
    let path = try writeProgram("bootstrap", "#!/bin/sh\n\(script)\n")
    return path
  }
}
