import CLinux
import Glibc

/// Sees to it that standard input, output and error are taken; for the beginning of `main`.
///
/// A program may be started with one of them closed (`>&-`). The next file or socket would get its number, and what was
/// meant for people be written there. So `/dev/null` takes it, opened the wrong way around: reading and writing fail as
/// they do where nothing is open (EBADF).
package func occupyStandardDescriptors() {
  // The lowest number that is free is the one that open(2) gives.
  for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
    if unsafe clinux_open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY, 0) == -1 {
      // A bare chroot has no /dev. Reading and writing what was opened as a mere path fail in the same way.
      _ = unsafe clinux_open("/", clinux_path_only, 0)
    }
  }
}
