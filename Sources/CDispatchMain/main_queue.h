// The main queue of libdispatch, served by the main thread instead of dispatch_main(). Swift's main actor uses that queue.
//
// libdispatch exports these functions for the run loop of CoreFoundation, which integrates the queue in the same way.
#ifndef CDISPATCHMAIN_MAIN_QUEUE_H
#define CDISPATCHMAIN_MAIN_QUEUE_H

#include <stddef.h>

extern int _dispatch_get_main_queue_handle_4CF(void);
extern void _dispatch_main_queue_callback_4CF(void *_Nullable message);

// Returns an eventfd(2) that becomes readable when the main queue has work. Only the main thread may call it.
static inline int cdispatch_main_queue_descriptor(void) { return _dispatch_get_main_queue_handle_4CF(); }

// Runs the work of the main queue. Only the main thread may call it.
static inline void cdispatch_serve_main_queue(void) { _dispatch_main_queue_callback_4CF(NULL); }

#endif
