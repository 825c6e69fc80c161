/* thread.h: starting a thread.
 * Any thread; the starter joins what it started.
 *
 * Asynchronous signals go to the thread that handles them (the loop), so they are blocked in all others. Faults are not:
 * a blocked SIGBUS would kill the process without the word that map.h's guard says. */
#ifndef SL_BASE_THREAD_H
#define SL_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* false: the system gives no more threads. */
bool sl_thread_start(pthread_t *ret, void *(*main)(void *), void *arg);

#endif
