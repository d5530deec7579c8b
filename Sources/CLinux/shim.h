// Linux headers and functions that Swift's Glibc module doesn't include.
#ifndef CLINUX_SHIM_H
#define CLINUX_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <nss.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_note.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

// open(2) is variadic, so Swift can't call it.
static inline int clinux_open(const char *path, int flags, unsigned int mode) {
  return open(path, flags, mode);
}

// openat(2) is variadic too.
static inline int clinux_openat(int directory, const char *path, int flags, unsigned int mode) {
  return openat(directory, path, flags, mode);
}

// fcntl(2) is variadic too.
static inline int clinux_set_nonblocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags < 0 ? flags : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

// pipe2(2), which glibc declares only for _GNU_SOURCE.
static inline int clinux_pipe(int ends[2], int flags) {
  return (int)syscall(SYS_pipe2, ends, flags);
}

// Closes all descriptors from `first` up in a new program. Since glibc 2.34, which declares it only for _GNU_SOURCE.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);

// pidfd_open(2). Linux has had it since 5.3, but glibc has a wrapper only since 2.36.
static inline int clinux_pidfd_open(pid_t pid, unsigned int flags) {
  return (int)syscall(SYS_pidfd_open, pid, flags);
}

// memfd_create(2), since Linux 3.17. glibc declares it only for _GNU_SOURCE. The flag 1 is MFD_CLOEXEC.
static inline int clinux_memory_file(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 1);
}

// Starts a program that the kernel kills when the calling thread ends for any reason (PR_SET_PDEATHSIG in prctl(2)). posix_spawn(3)
// doesn't support this. Standard output and standard error go to `output`, standard input is empty, no other descriptor is inherited,
// all signals have their default actions, and the process leads its own group. Returns the process ID, or -1 and sets errno. In C
// because Swift provides neither fork(2) nor vfork(2), after which only system calls may run until exec(3).
static inline pid_t clinux_start_program(
    const char *path, char *const arguments[], char *const environment[], int output) {
  sigset_t all, none, before;
  sigfillset(&all);
  sigemptyset(&none);
  pid_t parent = getpid();
  volatile int error = 0;
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t child = vfork();
  if (child == 0) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &action, NULL);
    int empty = open("/dev/null", O_RDONLY);
    // The parent may have ended before the call of prctl(2), which then has no effect.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && setpgid(0, 0) == 0 && empty >= 0 &&
        dup2(empty, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0) {
      // Fails before Linux 5.9. There, only the descriptors' close-on-exec flags apply.
      syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
      sigprocmask(SIG_SETMASK, &none, NULL);
      execve(path, arguments, environment);
    }
    error = errno == 0 ? ESRCH : errno;
    _exit(127);
  }
  if (child < 0) error = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (error == 0) return child;
  if (child > 0) waitpid(child, NULL, 0);
  errno = error;
  return -1;
}

// Returns the exit status or the signal from waitid(2). si_status is a macro.
static inline int clinux_exit_status(const siginfo_t *information) {
  return information->si_status;
}

// ioctl(2) is variadic too. Both functions work with a socket of any family (netdevice(7)).

// Copies the name of an interface into `name`, which must have room for IF_NAMESIZE bytes. Returns -1 and sets errno if there is no
// such interface.
static inline int clinux_interface_name(int socket, unsigned int index, char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_ifindex = (int)index;
  int result = ioctl(socket, SIOCGIFNAME, &request);
  if (result == 0) memcpy(name, request.ifr_name, IF_NAMESIZE);
  return result;
}

// Copies the IPv4 addresses of all interfaces, at most `count`. Returns their number, or -1 and sets errno.
static inline int clinux_ipv4_addresses(int socket, struct ifreq *entries, int count) {
  struct ifconf request;
  memset(&request, 0, sizeof request);
  request.ifc_len = count * (int)sizeof *entries;
  request.ifc_req = entries;
  int result = ioctl(socket, SIOCGIFCONF, &request);
  return result == 0 ? request.ifc_len / (int)sizeof *entries : result;
}

// Swift marks fork(2) as unavailable, because another thread may hold a lock. Call this only in a process with a single thread.
static inline pid_t clinux_fork(void) { return fork(); }

// Returns whether the calling thread is the main thread of the process.
static inline int clinux_is_main_thread(void) { return syscall(SYS_gettid) == getpid(); }

// Makes standard output line-buffered. In C because Swift rejects the global variable stdout as not safe for concurrency.
static inline void clinux_flush_output_by_line(void) {
  fflush(stdout);
  setvbuf(stdout, NULL, _IOLBF, 0);
}

// Flushes standard output. Returns 0, or the errno of a failed write.
static inline int clinux_finish_output(void) {
  if (fflush(stdout) != 0) return errno;
  return ferror(stdout) ? EIO : 0;
}

// Returns whether this process ignores a signal. In C because SIG_IGN contains a cast, which Swift doesn't import.
static inline int clinux_is_ignored(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Restores the default action of each ignored signal that is not in `kept`. In C because SIG_DFL contains a cast too. Skips signals
// from 32 on, which are real-time signals and those of the C library.
static inline void clinux_stop_ignoring_signals(const sigset_t *kept) {
  struct sigaction action;
  for (int signal = 1; signal < 32; signal++) {
    if (sigismember(kept, signal) == 1 || !clinux_is_ignored(signal)) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
  }
}

// Ignores a signal.
static inline void clinux_ignore_signal(int number) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_IGN;
  sigaction(number, &action, NULL);
}

// O_PATH of open(2), which is declared only for _GNU_SOURCE.
static const int clinux_path_only = 010000000;

// POSIX_SPAWN_SETSID of posix_spawnattr_setflags(3), which is declared only for _GNU_SOURCE. Since glibc 2.26.
static const int clinux_spawn_new_session = 0x80;

// prctl(2) is variadic.
static inline int clinux_set_parent_death_signal(int signal) {
  return prctl(PR_SET_PDEATHSIG, signal);
}

// Gets the size of a descriptor's terminal in characters (ioctl_tty(2)). Returns -1 and sets errno if it is not a terminal.
static inline int clinux_terminal_size(int descriptor, int *rows, int *columns) {
  struct winsize size;
  memset(&size, 0, sizeof size);
  int result = ioctl(descriptor, TIOCGWINSZ, &size);
  *rows = size.ws_row;
  *columns = size.ws_col;
  return result;
}

// The names and versions of the source packages linked into a release. lambda/package links an object that defines it. It is missing
// in other builds, which use the libraries of the machine. A macro would compile each program of a release differently.
extern const char clinux_linked_components[] __attribute__((weak));
static inline const char *clinux_release_components(void) {
  return clinux_linked_components ? clinux_linked_components : "";
}

#endif
