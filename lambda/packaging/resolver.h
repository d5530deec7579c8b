// Included after <ares.h> in the release's libcurl, to give c-ares shorter tries (lambda/packaging/libcurl does it).
//
// c-ares 1.18 waits 5 s for each name server before it asks the next one, and tries each one four times. It doesn't know
// resolv.conf's `timeout:` and `attempts:`, so nobody could change that. With 1.5 s and two tries, a second server is asked
// after 1.5 s, a third one after 3 s, and one server that drops AAAA queries costs 4.5 s (1.5 s, then 3 s). An answer that
// comes after the next query went out still counts. All of it has to fit into HTTPClient's budget for resolving, 10 s.
#ifndef DEVICE_DEFENDER_RESOLVER_H
#define DEVICE_DEFENDER_RESOLVER_H

#include <ares.h>

static inline int device_defender_ares_init_options(ares_channel *channel, struct ares_options *options, int mask) {
  if (!(mask & (ARES_OPT_TIMEOUT | ARES_OPT_TIMEOUTMS))) {
    options->timeout = 1500;
    mask |= ARES_OPT_TIMEOUTMS;
  }
  if (!(mask & ARES_OPT_TRIES)) {
    options->tries = 2;
    mask |= ARES_OPT_TRIES;
  }
  return ares_init_options(channel, options, mask);
}
#define ares_init_options device_defender_ares_init_options

#endif
