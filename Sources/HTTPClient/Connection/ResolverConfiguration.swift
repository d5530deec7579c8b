import Platform

/// The version of the resolver's configuration file (resolv.conf(5)).
///
/// c-ares reads `/etc/resolv.conf` once for each easy handle. An agent that started before DHCP, or that has roamed, would
/// ask the old name servers forever. Compare this before you reuse a handle.
struct ResolverConfiguration: Equatable {
  private let version: FileVersion

  /// Reads the version of the file at `path`; a missing file is a version, too.
  init(path: String) {
    version = FileVersion(path: path)
  }
}
