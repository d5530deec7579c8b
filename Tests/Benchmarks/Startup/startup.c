// startup ROUNDS NAME=PATH ...: measures the time from the creation of a process to the first byte of its first request to the Runtime
// API, and its anonymous memory at that point. The programs take turns, so that a busy period affects all of them.
//
// Prints a line for each program: name, median and minimum time in microseconds, and median anonymous memory in KiB.
#include "program.h"

static void measure(int listener, const char *path, double *time, double *memory) {
  double began = microseconds(CLOCK_MONOTONIC);
  pid_t pid = start(path);
  int connection = accepted(listener, path);
  char byte;
  if (recv(connection, &byte, 1, 0) != 1) fail("recv");
  *time = microseconds(CLOCK_MONOTONIC) - began;
  // Wait until the program is idle, which takes no longer than this even on a busy machine.
  usleep(20000);
  *memory = anonymousMemory(pid);
  end(pid);
  close(connection);
}

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: startup ROUNDS NAME=PATH ...\n");
    return 64;
  }
  int rounds = atoi(arguments[1]), programs = count - 2;
  int listener = listenerNamedBy("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:%d");

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
