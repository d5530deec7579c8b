// socket-load: runs a command in a separate network namespace with a given number of sockets.
//
//   socket-load [--established N] [--listen N] [--udp N] [--v6-percent P] [--reuse-port N] [--mapped N] -- COMMAND ...
//
// N established sockets are N/2 connections within the namespace, because both ends count. IPv4 connections come from four addresses
// of the loopback network in turn. Child processes hold the sockets, each as many as a process may open, and close them when the
// command ends. Requires root or user namespaces.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "socket-load: %s: %s\n", what, strerror(errno));
  exit(3);
}

static void check(int result, const char *what) {
  if (result < 0) fail(what);
}

static void write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  if (file < 0) return;
  if (write(file, text, strlen(text)) < 0) fail(path);
  close(file);
}

static void enter_namespace(void) {
  unsigned user = getuid(), group = getgid();
  if (unshare(CLONE_NEWNET) < 0) {
    check(unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
    char map[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", group);
    write_file("/proc/self/gid_map", map);
  }
  int any = socket(AF_INET, SOCK_DGRAM, 0);
  check(any, "socket");
  struct ifreq request = {.ifr_name = "lo"};
  check(ioctl(any, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP;
  check(ioctl(any, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  close(any);
}

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

static socklen_t make_address(address *a, int is_v6, const char *text, unsigned port) {
  memset(a, 0, sizeof *a);
  if (is_v6) {
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons(port);
    if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) != 1) fail(text);
    return sizeof a->v6;
  }
  a->v4.sin_family = AF_INET;
  a->v4.sin_port = htons(port);
  if (inet_pton(AF_INET, text, &a->v4.sin_addr) != 1) fail(text);
  return sizeof a->v4;
}

static int bound(int is_v6, int type, const char *text, unsigned port, int shares_port) {
  address a;
  socklen_t size = make_address(&a, is_v6, text, port);
  int s = socket(is_v6 ? AF_INET6 : AF_INET, type, 0), on = 1;
  check(s, "socket");
  if (shares_port) check(setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
  // Otherwise a listener on :: would occupy the port on 0.0.0.0 too.
  if (is_v6) check(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), "IPV6_V6ONLY");
  check(bind(s, &a.any, size), "bind");
  return s;
}

// Opens `pairs` connections. If `is_mapped`, the server's ends are IPv6 sockets with mapped peers.
static void connect_pairs(long pairs, int is_v6, int is_mapped) {
  if (pairs == 0) return;
  address a;
  int server = is_mapped ? socket(AF_INET6, SOCK_STREAM, 0) : bound(is_v6, SOCK_STREAM, is_v6 ? "::1" : "127.0.0.1", 0, 0);
  check(server, "socket");
  if (is_mapped) {
    socklen_t size = make_address(&a, 1, "::", 0);
    check(bind(server, &a.any, size), "bind");
  }
  check(listen(server, 512), "listen");
  socklen_t size = sizeof a;
  check(getsockname(server, &a.any, &size), "getsockname");
  unsigned port = ntohs(is_v6 || is_mapped ? a.v6.sin6_port : a.v4.sin_port);
  size = make_address(&a, is_v6, is_v6 ? "::1" : "127.0.0.1", port);
  for (long i = 0; i < pairs; i++) {
    int client = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    check(client, "socket");
    if (!is_v6) {
      static const char *const sources[] = {"127.0.0.1", "127.0.1.1", "127.0.1.2", "127.0.1.3"};
      int on = 1;
      address source;
      socklen_t source_size = make_address(&source, 0, sources[i % 4], 0);
      // Choose the port at connect(2), so that one address can use each port once per peer.
      check(setsockopt(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "IP_BIND_ADDRESS_NO_PORT");
      check(bind(client, &source.any, source_size), "bind");
    }
    check(connect(client, &a.any, size), "connect");
    check(accept(server, NULL, NULL), "accept");
  }
  close(server);
}

static const char *const local_addresses[] = {"0.0.0.0", "127.0.0.1", "::", "::1"};

static void bind_many(long count, int type) {
  for (long i = 0; i < count; i++) {
    int s = bound(i % 4 >= 2, type, local_addresses[i % 4], 0, 0);
    if (type == SOCK_STREAM) check(listen(s, 1), "listen");
  }
}

// Starts a child that does `work` and keeps its sockets open. Waits until the work is done.
static void in_child(void (*work)(long, int), long count, int argument) {
  int ready[2];
  char byte = 0;
  check(pipe(ready), "pipe");
  pid_t child = fork();
  check(child, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(count, argument);
    if (write(ready[1], &byte, 1) != 1) fail("write");
    for (;;) pause();
  }
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) exit(3);
  close(ready[0]);
}

static void v4_pairs(long count, int unused) { (void)unused; connect_pairs(count, 0, 0); }
static void v6_pairs(long count, int unused) { (void)unused; connect_pairs(count, 1, 0); }
static void mapped_pairs(long count, int unused) { (void)unused; connect_pairs(count, 0, 1); }

static void share_port(long count, int unused) {
  (void)unused;
  for (long i = 0; i < count; i++) check(listen(bound(0, SOCK_STREAM, "0.0.0.0", 30000, 1), 1), "listen");
}

int main(int argc, char **argv) {
  long established = 0, listening = 0, udp = 0, v6_percent = 10, reuse_port = 0, mapped = 0;
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; i += 2) {
    long *option = !strcmp(argv[i], "--established") ? &established : !strcmp(argv[i], "--listen") ? &listening
      : !strcmp(argv[i], "--udp") ? &udp : !strcmp(argv[i], "--v6-percent") ? &v6_percent
      : !strcmp(argv[i], "--reuse-port") ? &reuse_port : !strcmp(argv[i], "--mapped") ? &mapped : NULL;
    if (option == NULL || i + 1 >= argc) {
      fprintf(stderr, "socket-load: what is '%s'?\n", argv[i]);
      return 2;
    }
    *option = atol(argv[i + 1]);
  }
  if (i + 1 >= argc) {
    fprintf(stderr, "socket-load: no command after --\n");
    return 2;
  }
  struct rlimit files;
  check(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
  files.rlim_cur = files.rlim_max;
  check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
  enter_namespace();

  long most = ((long)files.rlim_max < 16000 ? (long)files.rlim_max - 64 : 16000) / 2;
  long v6 = established / 2 * v6_percent / 100, v4 = established / 2 - v6;
  for (; v4 > 0; v4 -= most) in_child(v4_pairs, v4 < most ? v4 : most, 0);
  for (; v6 > 0; v6 -= most) in_child(v6_pairs, v6 < most ? v6 : most, 0);
  if (mapped > 0) in_child(mapped_pairs, mapped / 2, 0);
  for (; listening > 0; listening -= most) in_child(bind_many, listening < most ? listening : most, SOCK_STREAM);
  for (; udp > 0; udp -= most) in_child(bind_many, udp < most ? udp : most, SOCK_DGRAM);
  if (reuse_port > 0) in_child(share_port, reuse_port, 0);

  pid_t command = fork();
  check(command, "fork");
  if (command == 0) {
    execvp(argv[i + 1], argv + i + 1);
    fail(argv[i + 1]);
  }
  int status;
  check(waitpid(command, &status, 0), "waitpid");
  // The children end with this process (PR_SET_PDEATHSIG).
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
