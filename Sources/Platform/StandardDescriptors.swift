import CLinux
import Glibc

/// Opens `/dev/null` in place of standard input, output or error if they are closed. Call it at the beginning of `main`.
///
/// A program may be started with one of them closed (`>&-`). The next file or socket would get its number and then
/// receive output that is meant for people. `/dev/null` is opened in the wrong direction, so that reading and writing
/// fail as on a closed descriptor (EBADF).
package func occupyStandardDescriptors() {
  // open(2) returns the lowest free number.
  for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
    if unsafe clinux_open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY, 0) == -1 {
      // A bare chroot has no /dev. On a descriptor that was opened as a path only, reading and writing fail in the same
      // way.
      _ = unsafe clinux_open("/", clinux_path_only, 0)
    }
  }
}
