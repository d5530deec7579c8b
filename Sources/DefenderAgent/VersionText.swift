import HTTPClient
import Platform

/// Returns the text that `--version` prints.
///
/// It lists the product's version, the versions of the libraries at run time, and the source packages that a release was
/// linked from. The package versions identify a distribution's security updates.
package func versionText(of program: String) -> String {
  var lines = ["\(program) \(packageVersion)", "\(libcurlVersion) glibc/\(libcVersion)"]
  if let releaseComponents {
    lines.append("linked statically: \(releaseComponents)")
  } else {
    lines.append("a development build: the libraries are this machine's")
  }
  return lines.joined(separator: "\n")
}
