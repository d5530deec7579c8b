import CLinux

/// The version of this package, of its programs and libraries alike.
///
/// It is written nowhere else: scripts read it with `lambda/packaging/version`.
package let packageVersion = "0.2.0"

/// What a release was linked with: names and versions of source packages, separated by commas. Nil in any other build.
package var releaseComponents: String? {
  let components = unsafe String(cString: clinux_release_components())
  return components.isEmpty ? nil : components
}

/// The version of the C library that runs, such as `2.36` (gnu_get_libc_version(3)).
package var libcVersion: String { unsafe String(cString: gnu_get_libc_version()) }
