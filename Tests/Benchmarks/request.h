// Sends a prepared request with libcurl. It is in a file with the URL, the header fields, an empty line and the body. Nothing is
// signed here, and only the status of the response is used.
#ifndef REQUEST_H
#define REQUEST_H

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes, (void)context;
  return size * count;
}

// Returns a handle that can send the request in the file repeatedly; NULL on failure. AWS_CA_BUNDLE names the file of certificate
// authorities.
static CURL *requestOf(const char *path) {
  static char request[1 << 18];
  FILE *file = fopen(path, "r");
  size_t length = file ? fread(request, 1, sizeof request - 1, file) : 0;
  if (file) fclose(file);
  char *body = strstr(request, "\r\n\r\n");
  CURL *handle = body ? curl_easy_init() : NULL;
  if (!handle) return NULL;
  body += 4;
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
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)(request + length - body));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
  return handle;
}

// Sends the request. Returns whether the status of the response was 200.
static int publish(CURL *handle) {
  long status = 0;
  CURLcode code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (code || status != 200) fprintf(stderr, "%s, status %ld\n", curl_easy_strerror(code), status);
  return code == CURLE_OK && status == 200;
}

#endif
