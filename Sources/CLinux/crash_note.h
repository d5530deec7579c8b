// Signal handlers that write a last log line before a signal ends the process.
//
// They are in C because a signal handler may call only async-signal-safe functions (signal-safety(7)): the signal may arrive while
// malloc(3) holds its lock. Swift gives no such guarantee. For example, comparing two enum values may make the Swift runtime look up
// a protocol conformance, which locks and allocates. A test disassembles the handlers and checks which functions they call.
//
// The state is static, so each object file that includes these functions would have its own copy. Therefore only CrashNote.swift may
// call them. The state has initial values because Swift emits no tentative definitions.
#ifndef CLINUX_CRASH_NOTE_H
#define CLINUX_CRASH_NOTE_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// The destination and format of the line. Set before the handlers are installed.
struct clinux_crash_note {
  int descriptor;
  int is_json;
  int is_framed;
  // NUL-terminated. Empty if there is no current invocation.
  const unsigned char *request_id;
};

static struct clinux_crash_note clinux_note = {-1, 0, 0, NULL};

static const int clinux_crash_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
static const char *const clinux_crash_names[] = {
    "SIGILL (a trap)", "SIGTRAP (a trap)", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"};
#define CLINUX_CRASH_SIGNALS 6
// The previous actions of the signals.
static struct sigaction clinux_crash_previous[CLINUX_CRASH_SIGNALS] = {{{0}}};

// A line that is composed without allocating memory. Text that doesn't fit is dropped.
struct clinux_note_line {
  size_t count;
  unsigned char bytes[768];
};

static inline void clinux_line_append(struct clinux_note_line *line, const char *text) {
  while (*text != 0 && line->count < sizeof line->bytes) line->bytes[line->count++] = (unsigned char)*text++;
}

static inline void clinux_line_append_number(struct clinux_note_line *line, int64_t number, int digits, char after) {
  char text[24];
  text[digits] = after;
  text[digits + 1] = 0;
  while (digits > 0) {
    text[--digits] = (char)('0' + number % 10);
    number /= 10;
  }
  clinux_line_append(line, text);
}

// Appends a time such as 2026-01-02T03:04:05.678Z; gmtime_r(3) is not async-signal-safe.
static inline void clinux_line_append_time(struct clinux_note_line *line, const struct timespec *time) {
  int64_t seconds = time->tv_sec > 0 ? time->tv_sec : 0;
  // Count days from 1 March of the year 0, in eras of 400 years (146,097 days), so that a leap day is the last day of a year.
  int64_t shifted = seconds / 86400 + 719468;
  int64_t day = shifted % 146097;
  int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * day_of_year + 2) / 153; // 0 is March
  clinux_line_append_number(line, shifted / 146097 * 400 + year + (month >= 10), 4, '-');
  clinux_line_append_number(line, month < 10 ? month + 3 : month - 9, 2, '-');
  clinux_line_append_number(line, day_of_year - (153 * month + 2) / 5 + 1, 2, 'T');
  clinux_line_append_number(line, seconds / 3600 % 24, 2, ':');
  clinux_line_append_number(line, seconds / 60 % 60, 2, ':');
  clinux_line_append_number(line, seconds % 60, 2, '.');
  clinux_line_append_number(line, time->tv_nsec / 1000000, 3, 'Z');
}

static inline void clinux_put_big_endian(unsigned char *bytes, uint64_t value, int count) {
  while (count > 0) {
    bytes[--count] = (unsigned char)value;
    value >>= 8;
  }
}

// Writes a line. Gives up if its reader has stopped reading, which must not keep the process alive.
static inline void clinux_send_note(int descriptor, const unsigned char *bytes, size_t count) {
  if (send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK) return;
  struct pollfd room = {descriptor, POLLOUT, 0};
  if (poll(&room, 1, 100) > 0 && write(descriptor, bytes, count) < 0) return;
}

// Writes a line about the current invocation. The levels are those of a telemetry frame (TelemetryFrame.swift).
static inline void clinux_write_line(int is_fatal, const char *words, const char *more_words) {
  if (clinux_note.descriptor < 0) return;
  const char *id = (const char *)clinux_note.request_id;
  int is_json = clinux_note.is_json;
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_REALTIME, &now);
  struct clinux_note_line line;
  line.count = clinux_note.is_framed ? 16 : 0;
  clinux_line_append(&line, is_json ? "{\"timestamp\":\"" : is_fatal ? "[FATAL]\t" : "[ERROR]\t");
  clinux_line_append_time(&line, &now);
  if (is_json) {
    clinux_line_append(&line, is_fatal ? "\",\"level\":\"FATAL" : "\",\"level\":\"ERROR");
    clinux_line_append(&line, "\",\"message\":\"");
  } else {
    clinux_line_append(&line, "\t");
    clinux_line_append(&line, id);
    if (*id != 0) clinux_line_append(&line, "\t");
  }
  clinux_line_append(&line, words);
  clinux_line_append(&line, more_words);
  if (is_json && *id != 0) {
    clinux_line_append(&line, "\",\"requestId\":\"");
    clinux_line_append(&line, id);
  }
  if (is_json) clinux_line_append(&line, "\"}");
  if (clinux_note.is_framed) {
    uint32_t word = 0xA55A0002u | (is_fatal ? 6u : 5u) << 2 | (is_json ? 0 : 1);
    clinux_put_big_endian(line.bytes, word, 4);
    clinux_put_big_endian(line.bytes + 4, line.count - 16, 4);
    clinux_put_big_endian(line.bytes + 8, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, 8);
  } else {
    clinux_line_append(&line, "\n");
  }
  clinux_send_note(clinux_note.descriptor, line.bytes, line.count);
}

// Handles a crash signal: writes a line, restores the previous action and raises the signal again.
static void clinux_handle_crash(int signal) {
  int index = 0;
  while (index < CLINUX_CRASH_SIGNALS - 1 && clinux_crash_signals[index] != signal) index++;
  int is_serving = clinux_note.request_id != NULL && *clinux_note.request_id != 0;
  clinux_write_line(
      1, is_serving ? "The handler crashed with " : "The process crashed outside of an invocation with ",
      clinux_crash_names[index]);
  sigaction(signal, &clinux_crash_previous[index], NULL);
  // Stays pending until the handler returns. A fault would recur by itself, but a signal sent by kill(2) would not.
  raise(signal);
}

// Installs the crash handlers, which write to `descriptor`. Later calls do nothing.
static inline void clinux_note_crashes(int descriptor, int is_json, int is_framed, const unsigned char *request_id) {
  if (clinux_note.descriptor >= 0) return;
  struct clinux_crash_note note = {descriptor, is_json, is_framed, request_id};
  clinux_note = note;
  // A separate stack, because a stack overflow is one of the crashes.
  static unsigned char stack[32768] __attribute__((aligned(16)));
  stack_t alternative;
  memset(&alternative, 0, sizeof alternative);
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  sigaltstack(&alternative, NULL);
  for (int index = 0; index < CLINUX_CRASH_SIGNALS; index++) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = clinux_handle_crash;
    action.sa_flags = SA_ONSTACK;
    sigaction(clinux_crash_signals[index], &action, &clinux_crash_previous[index]);
  }
}

// Writes a line of level ERROR about the current invocation, if the crash handlers are installed.
static inline void clinux_note_error(const char *words) {
  clinux_write_line(0, words, "");
}

// The time limit after a stop request, and the line to log when it expires.
static unsigned int clinux_stop_seconds = 0;
static const char *clinux_stop_words = NULL;

static void clinux_handle_alarm(int signal) {
  (void)signal;
  clinux_note_error(clinux_stop_words);
  _exit(0);
}

// Handles a stop request: starts an alarm(2) that ends the process, blocks further requests in the interrupted thread (`context`),
// and sends this request again, so that it stays pending.
static void clinux_handle_stop(int signal, siginfo_t *information, void *context) {
  (void)information;
  int error = errno;
  ucontext_t *thread = context;
  sigaddset(&thread->uc_sigmask, SIGTERM);
  sigaddset(&thread->uc_sigmask, SIGINT);
  // The process may have been started with SIGALRM blocked.
  sigdelset(&thread->uc_sigmask, SIGALRM);
  struct sigaction ending;
  memset(&ending, 0, sizeof ending);
  ending.sa_handler = clinux_handle_alarm;
  sigaction(SIGALRM, &ending, NULL);
  alarm(clinux_stop_seconds);
  kill(getpid(), signal);
  errno = error;
}

// Makes SIGTERM and SIGINT, if they are not blocked, end the process after `seconds`, with `words` as its last log line. Keeps the
// pointer `words`.
static inline void clinux_limit_stop(unsigned int seconds, const char *words) {
  clinux_stop_seconds = seconds;
  clinux_stop_words = words;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = clinux_handle_stop;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

#endif
