// Shared by both measurements: starts a program with a Runtime API on loopback, and ends it.
#ifndef PROGRAM_H
#define PROGRAM_H

#include "../measuring.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Opens a listening socket on loopback, and sets the environment variable `name` to its address.
static int listenerNamedBy(const char *name, const char *form) {
  int port, listener = listenOnLoopback(&port);
  char text[64];
  snprintf(text, sizeof text, form, port);
  setenv(name, text, 1);
  return listener;
}

// Starts the program with empty input, and discards its output.
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

// Accepts the next connection. Exits if the program makes none within 10 s.
static int accepted(int listener, const char *path) {
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  if (poll(&waiting, 1, 10000) != 1) {
    fprintf(stderr, "%s didn't connect within 10 s\n", path);
    exit(1);
  }
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

#endif
