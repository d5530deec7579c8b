// publisher REQUEST COUNT: the least that a client with libcurl can do: sends one finished request again and again.
//
// REQUEST is a file, which request.h reads. Prints what the Swift benchmark prints.
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
