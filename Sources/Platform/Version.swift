import CLinux

/// The version of this package, for its programs and libraries alike.
///
/// Defined only here: scripts read it with `lambda/packaging/version`.
package let packageVersion = "0.2.0"

/// The names and versions of the source packages that a release was linked with, separated by commas; nil in any other
/// build.
package var releaseComponents: String? {
  let components = unsafe String(cString: clinux_release_components())
  return components.isEmpty ? nil : components
}

/// The version of the C library in use, such as `2.36` (gnu_get_libc_version(3)).
package var libcVersion: String { unsafe String(cString: gnu_get_libc_version()) }
