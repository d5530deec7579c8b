// first-publish ROUNDS CERTIFICATE KEY REQUEST NAME=PATH ...: measures the time from a process's first event to its response, which
// includes one publish over TLS to a server in this process. The programs take turns.
//
// Writes the request of the first program to the file REQUEST, for the other programs to send. Prints a line for each program: name,
// median and minimum time in microseconds. Link with -lssl -lcrypto.
#include "program.h"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>

static const char *requestFile;

// Returns the end of the request's body in `text`; 0 if the request is not complete.
static size_t endOfRequest(const char *text, size_t count) {
  const char *head = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
  if (!head) return 0;
  size_t end = (size_t)(head + 4 - text) + (length && length < head ? (size_t)atol(length + 17) : 0);
  return count < end ? 0 : end;
}

// Writes URL, header fields, an empty line and body. libcurl adds Host and Content-Length itself.
static void record(char *text, size_t count) {
  FILE *file = fopen(requestFile, "wx");
  if (!file) return; // it is there
  char *target = strchr(text, ' ') + 1, *line = strstr(text, "\r\n") + 2;
  fprintf(file, "%s%.*s\r\n", getenv("AWS_ENDPOINT_URL_IOT_DATA_PLANE"), (int)(strchr(target, ' ') - target), target);
  for (char *end; (end = strstr(line, "\r\n")) != line; line = end + 2) {
    if (!strncasecmp(line, "host:", 5) || !strncasecmp(line, "content-length:", 15)) continue;
    fprintf(file, "%.*s\r\n", (int)(end - line), line);
  }
  fprintf(file, "\r\n");
  fwrite(line + 2, 1, (size_t)(text + count - line - 2), file);
  fclose(file);
}

static void answer(SSL *session) {
  static char text[1 << 17];
  static const char reply[] =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"message\":\"OK\"}";
  size_t count = 0, end = 0;
  while (!end) {
    int more = SSL_read(session, text + count, (int)(sizeof text - 1 - count));
    if (more < 1) return;
    text[count += (size_t)more] = 0;
    end = endOfRequest(text, count);
  }
  record(text, end);
  SSL_write(session, reply, sizeof reply - 1);
  while (SSL_read(session, text, sizeof text) > 0) {
  }
}

struct server {
  int listener;
  SSL_CTX *context;
};

static void *serve(void *argument) {
  struct server *server = argument;
  for (;;) {
    int connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    // Otherwise this server would wait 40 ms for an acknowledgement (Nagle's algorithm).
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    SSL *session = SSL_new(server->context);
    SSL_set_fd(session, connection);
    if (SSL_accept(session) == 1) answer(session);
    SSL_free(session);
    close(connection);
  }
  return NULL;
}

static void beginServing(const char *certificate, const char *key) {
  static struct server server;
  pthread_t thread;
  signal(SIGPIPE, SIG_IGN);
  server.listener = listenerNamedBy("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "https://localhost:%d");
  server.context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(server.context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(server.context, key, SSL_FILETYPE_PEM) != 1) {
    fprintf(stderr, "%s and %s can't be used\n", certificate, key);
    exit(1);
  }
  if (pthread_create(&thread, NULL, serve, &server)) fail("pthread_create");
}

static double measure(int listener, const char *path) {
  static const char event[] =
      "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n"
      "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:one\r\n"
      "Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"reports\":1}";
  char text[4096];
  pid_t pid = start(path);
  int connection = accepted(listener, path);
  if (recv(connection, text, sizeof text, 0) < 1) fail("recv");
  double began = microseconds(CLOCK_MONOTONIC);
  if (send(connection, event, sizeof event - 1, 0) < 0) fail("send");
  ssize_t count = recv(connection, text, sizeof text - 1, 0);
  double time = microseconds(CLOCK_MONOTONIC) - began;
  text[count < 0 ? 0 : count] = 0;
  if (!strstr(text, "/response")) {
    fprintf(stderr, "%s did not publish: %s\n", path, text);
    exit(1);
  }
  end(pid);
  close(connection);
  return time;
}

int main(int count, char **arguments) {
  if (count < 6) {
    fprintf(stderr, "usage: first-publish ROUNDS CERTIFICATE KEY REQUEST NAME=PATH ...\n");
    return 64;
  }
  int rounds = atoi(arguments[1]), programs = count - 5;
  requestFile = arguments[4];
  setenv("FLOOR_REQUEST", requestFile, 1);
  beginServing(arguments[2], arguments[3]);
  int listener = listenerNamedBy("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:%d");
  double *times = calloc((size_t)(rounds * programs), sizeof *times);
  if (!times || rounds < 1) fail("rounds");
  for (int round = 0; round < rounds; round++) {
    for (int program = 0; program < programs; program++) {
      times[program * rounds + round] = measure(listener, strchr(arguments[program + 5], '=') + 1);
    }
  }
  for (int program = 0; program < programs; program++) {
    double *own = &times[program * rounds];
    qsort(own, (size_t)rounds, sizeof *own, byValue);
    int name = (int)(strchr(arguments[program + 5], '=') - arguments[program + 5]);
    printf("%.*s %.0f %.0f\n", name, arguments[program + 5], own[rounds / 2], own[0]);
  }
}
