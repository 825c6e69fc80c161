/* thread.h: starting a thread, and asserting which one runs.
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

/* Makes the calling thread so many steps nicer than it is (up to 19, the nicest). A process that was itself started nicer
 * keeps the distance between its threads. */
void sl_thread_nicer(int steps);

/* A header's second line says which thread calls its functions; debug builds assert it. A thread that has a role says so
 * when it begins; one without (a test, `run`, `bench`) may call everything. */
typedef enum sl_thread_role { SL_THREAD_ANY, SL_THREAD_LOOP, SL_THREAD_TEXT, SL_THREAD_ENGINE, SL_THREAD_WORKER } sl_thread_role;

void sl_thread_is(sl_thread_role role); /* of the calling thread, from now on */

/* SL_ON_THREAD(LOOP): in a debug build aborts, naming both roles and the function, on a thread of another role. */
#ifdef NDEBUG
#define SL_ON_THREAD(role) ((void)0)
#else
#define SL_ON_THREAD(role) sl_thread_check(SL_THREAD_##role, __func__)
#endif
void sl_thread_check(sl_thread_role role, const char *function);

#endif
