import HTTPClient
import Platform

/// What `--version` prints: the product's version, those of the libraries as they are at run time, and the source
/// packages that a release was linked from, in which a distribution's security updates are told apart.
package func versionText(of program: String) -> String {
  var lines = ["\(program) \(packageVersion)", "\(libcurlVersion) glibc/\(libcVersion)"]
  if let releaseComponents {
    lines.append("linked statically: \(releaseComponents)")
  } else {
    lines.append("a development build: the libraries are this machine's")
  }
  return lines.joined(separator: "\n")
}
