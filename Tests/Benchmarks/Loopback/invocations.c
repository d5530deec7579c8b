// invocations ROUNDS COUNT BYTES NAME=COMMAND ...: a Runtime API that times warm invocations of echo functions.
//
// In each round, starts each program in turn, sends it COUNT events of BYTES bytes (a JSON object) and reads its responses. All
// programs share one processor with this one, so that the time to wake another processor isn't measured. Before that, a tenth of the
// events are sent to warm up. For each program, prints a line of JSON with medians over the rounds: the microseconds from one event
// to the next, the program's CPU time in that, and its anonymous memory at the end.
#include "../measuring.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { longestWait = 60000, mostConnections = 8, longestHead = 16384 };

extern char **environ;

static int listener, connections[mostConnections], connectionCount;
static char *event, *body;
static size_t eventSize, bodyCapacity;

static void sendAll(int connection, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(connection, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) fail("send");
    bytes += sent;
    count -= (size_t)sent;
  }
}

static void sendEvent(int connection, int number) {
  char head[512];
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-%012d\r\n"
                      "Lambda-Runtime-Deadline-Ms: %lld\r\n"
                      "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:echo\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      number, (long long)(microseconds(CLOCK_REALTIME) / 1000) + 60000, eventSize);
  sendAll(connection, head, (size_t)size);
  sendAll(connection, event, eventSize);
}

// Reads a complete request. Returns 0 if the connection has ended. Sets `isAnswer` if the request contains the function's response.
static int readRequest(int connection, int *isAnswer) {
  char head[longestHead + 1], *end = NULL;
  size_t length = 0;
  while (!end) {
    ssize_t count = recv(connection, head + length, longestHead - length, 0);
    if (count == 0 && length == 0) return 0;
    if (count <= 0) fail("recv");
    head[length += (size_t)count] = 0;
    end = strstr(head, "\r\n\r\n");
  }
  *isAnswer = !strncmp(head, "POST ", 5);
  end[2] = 0;
  char *field = strcasestr(head, "\r\ncontent-length:");
  if (*isAnswer && !field) {
    fprintf(stderr, "an answer without Content-Length\n");
    exit(1);
  }
  size_t size = field ? strtoul(field + 17, NULL, 10) : 0, have = length - (size_t)(end + 4 - head);
  if (*isAnswer && size < eventSize) {
    fprintf(stderr, "%zu bytes came back of an event of %zu\n", size, eventSize);
    exit(1);
  }
  if (strcasestr(head, "\r\nexpect: 100-continue") && have == 0)
    sendAll(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  if (size > bodyCapacity && !(body = realloc(body, bodyCapacity = size))) fail("realloc");
  while (have < size) {
    ssize_t count = recv(connection, body, size - have, 0);
    if (count <= 0) fail("recv");
    have += (size_t)count;
  }
  return 1;
}

// Waits for a connection with data to read, and accepts new ones meanwhile.
static int readable(const char *name) {
  for (;;) {
    struct pollfd waits[mostConnections + 1] = {{.fd = listener, .events = POLLIN}};
    for (int index = 0; index < connectionCount; index++)
      waits[index + 1] = (struct pollfd){.fd = connections[index], .events = POLLIN};
    if (poll(waits, (nfds_t)connectionCount + 1, longestWait) <= 0) {
      fprintf(stderr, "%s: no request within %d s\n", name, longestWait / 1000);
      exit(1);
    }
    for (int index = 0; index < connectionCount; index++)
      if (waits[index + 1].revents) return index;
    if (connectionCount == mostConnections) fail("too many connections");
    int connection = accept(listener, NULL, NULL), on = 1;
    if (connection < 0) fail("accept");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct timeval longest = {.tv_sec = longestWait / 1000};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    connections[connectionCount++] = connection;
  }
}

static pid_t start(char *command) {
  char *words[32];
  int count = 0;
  for (char *word = strtok(command, " "); word && count < 31; word = strtok(NULL, " ")) words[count++] = word;
  words[count] = NULL;
  pid_t child;
  if (count == 0 || posix_spawnp(&child, words[0], NULL, NULL, words, environ)) fail("posix_spawnp");
  return child;
}

struct result {
  double elapsed, processor, memory;
};

static struct result measure(const char *name, const char *command, int count) {
  char words[4096];
  snprintf(words, sizeof words, "%s", command);
  pid_t child = start(words);
  clockid_t clock = CLOCK_MONOTONIC;
  struct result result = {0};
  int warmUp = count / 10 + 1, answered = 0, given = 0;
  while (answered < warmUp + count) {
    int index = readable(name), isAnswer, connection = connections[index];
    if (!readRequest(connection, &isAnswer)) {
      close(connection);
      connections[index] = connections[--connectionCount];
    } else if (isAnswer) {
      answered++;
      const char *taken = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";
      if (answered == warmUp + count) {
        result.elapsed = (microseconds(CLOCK_MONOTONIC) - result.elapsed) / count;
        result.processor = (microseconds(clock) - result.processor) / count;
        result.memory = anonymousMemory(child);
      }
      sendAll(connection, taken, strlen(taken));
      if (answered == warmUp) {
        if (clock_getcpuclockid(child, &clock)) fail("clock_getcpuclockid");
        result.processor = microseconds(clock);
        result.elapsed = microseconds(CLOCK_MONOTONIC);
      }
    } else {
      sendEvent(connection, given++);
    }
  }
  kill(child, SIGTERM);
  while (connectionCount > 0) close(connections[--connectionCount]);
  for (int wait = 0; waitpid(child, NULL, WNOHANG) == 0; wait++) {
    if (wait == 1000) kill(child, SIGKILL);
    usleep(10000);
  }
  return result;
}

// Returns `{"pad":"xxx…"}` with `size` bytes.
static void makeEvent(size_t size) {
  eventSize = size;
  if (!(event = malloc(size))) fail("malloc");
  memset(event, 'x', size);
  memcpy(event, "{\"pad\":\"", 8);
  memcpy(event + size - 2, "\"}", 2);
}

int main(int argumentCount, char **arguments) {
  int rounds = argumentCount > 4 ? atoi(arguments[1]) : 0, count = rounds ? atoi(arguments[2]) : 0;
  long size = count ? atol(arguments[3]) : 0;
  if (rounds < 1 || rounds > 1000 || count < 1 || size < 16) {
    fprintf(stderr, "usage: invocations ROUNDS COUNT BYTES NAME=COMMAND ...\n");
    return 64;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  if (sched_setaffinity(0, sizeof one, &one)) fail("sched_setaffinity");
  int port;
  char endpoint[32];
  listener = listenOnLoopback(&port);
  snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", port);
  setenv("AWS_LAMBDA_RUNTIME_API", endpoint, 1);
  makeEvent((size_t)size);
  int programs = argumentCount - 4;
  double *times = calloc((size_t)(3 * programs * rounds), sizeof *times);
  if (!times) fail("calloc");
  for (int round = 0; round < rounds; round++) {
    for (int program = 0; program < programs; program++) {
      char *equals = strchr(arguments[program + 4], '=');
      if (!equals) fail("NAME=COMMAND");
      struct result result = measure(arguments[program + 4], equals + 1, count);
      double *own = times + 3 * program * rounds;
      own[round] = result.elapsed;
      own[rounds + round] = result.processor;
      own[2 * rounds + round] = result.memory;
    }
  }
  for (int program = 0; program < programs; program++) {
    double *own = times + 3 * program * rounds;
    for (int column = 0; column < 3; column++) qsort(own + column * rounds, (size_t)rounds, sizeof *own, byValue);
    printf("{\"name\":\"%.*s\",\"us\":%.2f,\"cpu_us\":%.2f,\"anonymous_kib\":%.0f}\n",
           (int)strcspn(arguments[program + 4], "="), arguments[program + 4], own[rounds / 2],
           own[rounds + rounds / 2], own[2 * rounds + rounds / 2]);
  }
}
