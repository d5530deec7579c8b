// What both measurements do: start a program against a Runtime API on loopback, read the clock, take the median.
#ifndef MEASURING_H
#define MEASURING_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int byValue(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

// A listening socket of loopback; its address as text goes into the variable that `name` tells.
static int listenerNamedBy(const char *name, const char *form) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 8)) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  char text[64];
  snprintf(text, sizeof text, form, ntohs(address.sin_port));
  setenv(name, text, 1);
  return listener;
}

// Starts the program, with nothing to read and its output thrown away.
static pid_t start(const char *path) {
  pid_t pid;
  char *arguments[] = {(char *)path, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  if (posix_spawn(&pid, path, &actions, NULL, arguments, environ)) fail(path);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

static void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

// The next connection; a program that makes none within 10 s ends the measurement.
static int accepted(int listener, const char *path) {
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  if (poll(&waiting, 1, 10000) != 1) {
    fprintf(stderr, "%s didn't connect within 10 s\n", path);
    exit(1);
  }
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

#endif
