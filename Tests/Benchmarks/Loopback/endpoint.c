// endpoint CERTIFICATE KEY: an HTTPS server on loopback that accepts every publish, one connection after another.
//
// Prints its port, and responds like AWS IoT until the end of its standard input. Keeps connections open.
#include "../measuring.h"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { longestRequest = 262144 };

// Reads a complete request. Returns 0 if the connection has ended.
static int readRequest(SSL *session) {
  static char request[longestRequest + 1];
  size_t length = 0, whole = 0;
  while (whole == 0 || length < whole) {
    int count = SSL_read(session, request + length, (int)(longestRequest - length));
    if (count <= 0) return 0;
    request[length += (size_t)count] = 0;
    char *end = whole ? NULL : strstr(request, "\r\n\r\n");
    if (!end) continue;
    char *field = strcasestr(request, "\r\ncontent-length:");
    whole = (size_t)(end + 4 - request) + (field && field < end ? strtoul(field + 17, NULL, 10) : 0);
    if (whole > longestRequest) return 0;
  }
  return 1;
}

static void serve(SSL_CTX *context, int connection) {
  static const char answer[] =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n"
      "Content-Length: 67\r\n\r\n{\"message\":\"OK\",\"traceId\":\"00000000-0000-4000-8000-000000000000\"}\r\n";
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SSL *session = SSL_new(context);
  if (session && SSL_set_fd(session, connection) && SSL_accept(session) == 1) {
    while (readRequest(session) && SSL_write(session, answer, sizeof answer - 1) > 0) {}
  }
  SSL_free(session);
  close(connection);
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: endpoint CERTIFICATE KEY\n");
    return 64;
  }
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (!context || SSL_CTX_use_certificate_chain_file(context, arguments[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, arguments[2], SSL_FILETYPE_PEM) != 1) {
    fprintf(stderr, "the certificate or its key can't be used\n");
    return 1;
  }
  int port, listener = listenOnLoopback(&port);
  printf("%d\n", port);
  fflush(stdout);
  for (;;) {
    struct pollfd waits[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    if (poll(waits, 2, -1) < 0) fail("poll");
    if (waits[1].revents) return 0;
    int connection = accept(listener, NULL, NULL);
    if (connection >= 0) serve(context, connection);
  }
}
