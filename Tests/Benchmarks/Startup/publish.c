// The least that a function with one HTTPS publish can do, with the release's own libcurl and OpenSSL: take an event,
// send the request that FLOOR_REQUEST names (which `bootstrap` made: nothing is collected or signed here), answer.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char request[1 << 17];

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes, (void)context;
  return size * count;
}

// The file: the URL, the header fields, an empty line, the body. Returns whether it was answered with 200.
static int publish(void) {
  FILE *file = fopen(getenv("FLOOR_REQUEST"), "r");
  size_t length = file ? fread(request, 1, sizeof request - 1, file) : 0;
  char *body = strstr(request, "\r\n\r\n");
  if (!body) return 0;
  body += 4;
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
  CURL *handle = curl_easy_init();
  struct curl_slist *fields = NULL;
  char *line = request, *end = strstr(line, "\r\n");
  *end = 0;
  curl_easy_setopt(handle, CURLOPT_URL, line);
  for (line = end + 2; (end = strstr(line, "\r\n")) != line; line = end + 2) {
    *end = 0;
    fields = curl_slist_append(fields, line);
  }
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(handle, CURLOPT_CAINFO, getenv("AWS_CA_BUNDLE"));
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 10000L);
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)(request + length - body));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
  long status = 0;
  CURLcode code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (code) fprintf(stderr, "%s\n", curl_easy_strerror(code));
  return status == 200;
}

int main(void) {
  const char *endpoint = getenv("AWS_LAMBDA_RUNTIME_API");
  unsigned port = endpoint ? (unsigned)atoi(strchr(endpoint, ':') + 1) : 0;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr *)&address, sizeof address)) return 1;
  const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  if (write(connection, next, strlen(next)) < 0) return 1;
  char event[4096];
  if (read(connection, event, sizeof event) < 1 || !publish()) return 1;
  const char *answer = "POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}";
  if (write(connection, answer, strlen(answer)) < 0) return 1;
  return read(connection, event, sizeof event) > 0;
}
