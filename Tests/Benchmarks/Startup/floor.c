// A minimal runtime: connects to the Runtime API, requests the first event and waits.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  const char *endpoint = getenv("AWS_LAMBDA_RUNTIME_API");
  unsigned port = endpoint ? (unsigned)atoi(strchr(endpoint, ':') + 1) : 0;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr *)&address, sizeof address)) return 1;
  const char *request = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  if (write(connection, request, strlen(request)) < 0) return 1;
  char answer[4096];
  return read(connection, answer, sizeof answer) > 0;
}
