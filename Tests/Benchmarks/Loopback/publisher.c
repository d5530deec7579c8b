// publisher REQUEST COUNT: the least that a client with libcurl can do: sends one finished request again and again.
//
// REQUEST is a file: the URL, the header fields, an empty line, the body. Nothing is signed here, and nothing of an answer
// kept but its status. AWS_CA_BUNDLE names the certificate authorities. Prints what the Swift benchmark prints.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char request[1 << 18];

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes, (void)context;
  return size * count;
}

static double microseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int byValue(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

// Has `handle` send what the file says; returns the list of its header fields.
static struct curl_slist *prepare(CURL *handle, const char *path) {
  FILE *file = fopen(path, "r");
  size_t length = file ? fread(request, 1, sizeof request - 1, file) : 0;
  char *body = strstr(request, "\r\n\r\n");
  if (!body) return NULL;
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
  return fields;
}

static int publish(CURL *handle) {
  long status = 0;
  CURLcode code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (code || status != 200) fprintf(stderr, "%s, status %ld\n", curl_easy_strerror(code), status);
  return code == CURLE_OK && status == 200;
}

int main(int count, char **arguments) {
  int publishes = count == 3 ? atoi(arguments[2]) : 0;
  CURL *handle = curl_easy_init();
  double *times = calloc((size_t)(publishes > 0 ? publishes : 1), sizeof *times);
  if (publishes < 1 || !handle || !times || !prepare(handle, arguments[1])) {
    fprintf(stderr, "usage: publisher REQUEST COUNT\n");
    return 64;
  }
  if (!publish(handle)) return 1;
  double first = microseconds(CLOCK_PROCESS_CPUTIME_ID);
  for (int index = 0; index < publishes; index++) {
    double start = microseconds(CLOCK_MONOTONIC);
    if (!publish(handle)) return 1;
    times[index] = microseconds(CLOCK_MONOTONIC) - start;
  }
  double processor = (microseconds(CLOCK_PROCESS_CPUTIME_ID) - first) / publishes;
  qsort(times, (size_t)publishes, sizeof *times, byValue);
  printf("{\"first_cpu_us\":%f,\"later_us\":%f,\"later_cpu_us\":%f}\n", first, times[publishes / 2], processor);
  return 0;
}
