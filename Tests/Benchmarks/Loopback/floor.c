// A minimal echo function: sends raw requests over one connection and returns the bytes of the event unchanged.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char *buffer;
static size_t capacity, length;

// Reads more of the response into the buffer. Exits if the connection ends.
static void readMore(int connection) {
  if (length == capacity && !(buffer = realloc(buffer, capacity = capacity ? capacity * 2 : 65536))) exit(1);
  ssize_t count = read(connection, buffer + length, capacity - length);
  if (count <= 0) exit(0);
  length += (size_t)count;
}

// Reads a complete response. Returns the start and the length of its body.
static char *answer(int connection, size_t *bodyLength) {
  char *end;
  length = 0;
  do readMore(connection);
  while (!(end = memmem(buffer, length, "\r\n\r\n", 4)));
  size_t head = (size_t)(end - buffer) + 4;
  char *field = memmem(buffer, head, "Content-Length: ", 16);
  *bodyLength = field ? strtoul(field + 16, NULL, 10) : 0;
  while (length < head + *bodyLength) readMore(connection);
  return buffer + head;
}

int main(void) {
  const char *endpoint = getenv("AWS_LAMBDA_RUNTIME_API");
  const char *colon = endpoint ? strchr(endpoint, ':') : NULL;
  if (!colon) return 1;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(colon + 1)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr *)&address, sizeof address)) return 1;
  const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  for (;;) {
    if (write(connection, next, strlen(next)) < 0) return 1;
    size_t count;
    char *event = answer(connection, &count), head[256];
    char *field = memmem(buffer, length, "Lambda-Runtime-Aws-Request-Id: ", 31);
    if (!field) return 1;
    int size = snprintf(head, sizeof head,
                        "POST /2018-06-01/runtime/invocation/%.*s/response HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        (int)strcspn(field + 31, "\r"), field + 31, count);
    struct iovec parts[2] = {{head, (size_t)size}, {event, count}};
    for (int part = 0; part < 2;) {
      ssize_t sent = writev(connection, parts + part, 2 - part);
      if (sent < 0) return 1;
      for (; part < 2 && (size_t)sent >= parts[part].iov_len; part++) sent -= (ssize_t)parts[part].iov_len;
      if (part < 2) {
        parts[part].iov_base = (char *)parts[part].iov_base + sent;
        parts[part].iov_len -= (size_t)sent;
      }
    }
    answer(connection, &count);
  }
}
