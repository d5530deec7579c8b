import Glibc

/// The version of the resolver's configuration file (resolv.conf(5)).
///
/// c-ares reads `/etc/resolv.conf` once for each easy handle. An agent that started before DHCP, or that has roamed, would
/// ask the old name servers forever. Compare this before you reuse a handle.
struct ResolverConfiguration: Equatable {
  private var device: dev_t = 0
  private var inode: ino_t = 0
  private var size: off_t = 0
  private var seconds = 0
  private var nanoseconds = 0

  /// Reads the version of the file at `path`; a missing file is a version, too.
  init(path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    device = status.st_dev
    inode = status.st_ino
    size = status.st_size
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
