// publisher REQUEST COUNT: a minimal client with libcurl that sends the same prepared request repeatedly.
//
// REQUEST is a file in the format of request.h. Prints the same line as the Swift benchmark.
#include "../measuring.h"
#include "../request.h"

int main(int count, char **arguments) {
  int publishes = count == 3 ? atoi(arguments[2]) : 0;
  CURL *handle = publishes < 1 ? NULL : requestOf(arguments[1]);
  double *times = calloc((size_t)(publishes > 0 ? publishes : 1), sizeof *times);
  if (!handle || !times) {
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
