// exit ROUNDS NAME=PATH ...: measures the time from the creation of a process with the argument --version to its end. The programs take
// turns, so that a busy period affects all of them.
//
// Prints a line for each program: name, and median and minimum time in microseconds.
#include "../measuring.h"

#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static double measure(const char *path, posix_spawn_file_actions_t *actions) {
  char *arguments[] = {(char *)path, "--version", NULL};
  pid_t pid;
  int status;
  double began = microseconds(CLOCK_MONOTONIC);
  if (posix_spawn(&pid, path, actions, NULL, arguments, environ)) fail(path);
  if (waitpid(pid, &status, 0) != pid || status) {
    fprintf(stderr, "%s --version: wait status %d\n", path, status);
    exit(1);
  }
  return microseconds(CLOCK_MONOTONIC) - began;
}

int main(int count, char **arguments) {
  int rounds = count < 3 ? 0 : atoi(arguments[1]), programs = count - 2;
  if (rounds < 1) {
    fprintf(stderr, "usage: exit ROUNDS NAME=PATH ...\n");
    return 64;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  double *times = calloc((size_t)(rounds * programs), sizeof *times);
  if (!times) fail("rounds");
  for (int round = 0; round < rounds; round++)
    for (int program = 0; program < programs; program++)
      times[program * rounds + round] = measure(strchr(arguments[program + 2], '=') + 1, &actions);
  for (int program = 0; program < programs; program++) {
    double *own = &times[program * rounds];
    qsort(own, (size_t)rounds, sizeof *own, byValue);
    int name = (int)(strchr(arguments[program + 2], '=') - arguments[program + 2]);
    printf("%.*s %.0f %.0f\n", name, arguments[program + 2], own[rounds / 2], own[0]);
  }
}
