// Shared by the measuring programs: clocks, medians, memory and a listening socket. Include it before any other header.
#ifndef MEASURING_H
#define MEASURING_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static _Noreturn void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline double microseconds(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now)) fail("clock_gettime");
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

// A comparison function for qsort(3), to find the median.
static inline int byValue(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

// Returns a process's anonymous memory in KiB (proc_pid_smaps_rollup(5)).
static inline double anonymousMemory(pid_t pid) {
  char path[64], line[256];
  double size = 0;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Anonymous: %lf", &size) == 1) break;
  fclose(file);
  return size;
}

// Opens a listening socket on loopback, on a port that the system chooses.
static inline int listenOnLoopback(int *port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 8)) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length)) fail("getsockname");
  *port = ntohs(address.sin_port);
  return listener;
}

#endif
