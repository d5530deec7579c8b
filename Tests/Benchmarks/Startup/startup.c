// startup ROUNDS NAME=PATH ...: how long each program takes from its creation to the first byte of its first request to
// the Runtime API, and how much memory of its own it then has. Programs take turns, so that a busy moment hits all.
//
// Prints a line each: name, median and smallest time in microseconds, median of its anonymous memory in KiB.
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

// The process's anonymous memory in KiB (proc_pid_smaps_rollup(5)).
static double anonymousMemory(pid_t pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  double sum = -1;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "Anonymous: %lf", &sum) == 1) break;
  }
  fclose(file);
  return sum;
}

static void measure(int listener, const char *path, double *time, double *memory) {
  pid_t pid;
  char *arguments[] = {(char *)path, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  double start = microseconds();
  if (posix_spawn(&pid, path, &actions, NULL, arguments, environ)) fail(path);
  struct pollfd waiting = {.fd = listener, .events = POLLIN};
  if (poll(&waiting, 1, 10000) != 1) {
    fprintf(stderr, "%s didn't poll within 10 s\n", path);
    exit(1);
  }
  int connection = accept(listener, NULL, NULL);
  char byte;
  if (recv(connection, &byte, 1, 0) != 1) fail("recv");
  *time = microseconds() - start;
  // It is idle once it waits for the answer; that takes no longer than this even on a busy machine.
  usleep(20000);
  *memory = anonymousMemory(pid);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  close(connection);
  posix_spawn_file_actions_destroy(&actions);
}

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: startup ROUNDS NAME=PATH ...\n");
    return 64;
  }
  int rounds = atoi(arguments[1]), programs = count - 2;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 8)) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  char endpoint[32];
  snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", ntohs(address.sin_port));
  setenv("AWS_LAMBDA_RUNTIME_API", endpoint, 1);

  double *times = calloc((size_t)(rounds * programs), sizeof *times);
  double *memories = calloc((size_t)(rounds * programs), sizeof *memories);
  if (!times || !memories || rounds < 1) fail("rounds");
  for (int round = 0; round < rounds; round++) {
    for (int program = 0; program < programs; program++) {
      const char *path = strchr(arguments[program + 2], '=') + 1;
      int at = program * rounds + round;
      measure(listener, path, &times[at], &memories[at]);
    }
  }
  for (int program = 0; program < programs; program++) {
    double *own = &times[program * rounds], *memory = &memories[program * rounds];
    qsort(own, (size_t)rounds, sizeof *own, byValue);
    qsort(memory, (size_t)rounds, sizeof *memory, byValue);
    int name = (int)(strchr(arguments[program + 2], '=') - arguments[program + 2]);
    printf("%.*s %.0f %.0f %.0f\n", name, arguments[program + 2], own[rounds / 2], own[0], memory[rounds / 2]);
  }
}
