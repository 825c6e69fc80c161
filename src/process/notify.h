/* notify.h: tells the service manager how the service is: systemd, or whoever else sets NOTIFY_SOCKET.
 * One thread: the loop, once it runs. The holder owns it.
 *
 * A message is a datagram of lines KEY=VALUE to the socket that the environment names (sd_notify(3)). Nothing waits: what the
 * manager does not take at once is lost, as the next message says more. Without NOTIFY_SOCKET every function does nothing.
 *
 * libsystemd is not linked for this: it is 0.8 MB and brings cryptography and three compressors into the image for what is
 * one socket, one address and one send. */
#ifndef SL_PROCESS_NOTIFY_H
#define SL_PROCESS_NOTIFY_H

#include "base/error.h"

#include <stdint.h>

typedef struct sl_notify {
    int fd; /* connected, so that it can be used when no socket may be opened any more; -1: nobody wants to know */
    uint64_t watchdog_ns; /* the manager ends a service that has not said WATCHDOG=1 for so long; 0: it does not look */
} sl_notify;

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment; *ret is good in any case. Before threads start. An
 * error: the manager asked to be told and cannot be reached. */
sl_status sl_notify_open(sl_notify *ret, sl_error *e);
void sl_notify_close(sl_notify *n);

/* "READY=1\nSTATUS=…" */
void sl_notify_send(const sl_notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* RELOADING=1 with the time that the manager wants beside it. READY=1 ends it. */
void sl_notify_reloading(const sl_notify *n);

#endif
