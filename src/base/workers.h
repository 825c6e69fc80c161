/* workers.h: the one pool of threads that compute.
 * The owner's thread (engine thread) is participant 0; participants 1 … n-1 are the pool's own threads.
 *
 * A region is one function that all participants run at the same time. Inside a region work is cut into items; a
 * participant takes the next item's number from a shared counter, and all meet at a barrier before the next phase:
 *
 *     for (int i; (i = sl_workers_take(w, self)) < items;) do_item(i);
 *     sl_workers_barrier(w, self);             // also sets the counter back to 0
 *
 * Invariants
 *   1. Every participant passes the same barriers in the same order.
 *   2. Whatever was written before a barrier is seen by all after it.
 *   3. Waiting spins briefly, then sleeps on a futex: a wrong guess about cores costs little, an idle server nothing.
 *   4. Results never depend on which participant took which item. */
#ifndef SL_BASE_WORKERS_H
#define SL_BASE_WORKERS_H

#include "base/error.h"

#include <stdint.h>

typedef struct sl_workers sl_workers;
typedef void sl_workers_fn(void *ctx, int self); /* self in 0 … n-1 */

/* threads: participants, the calling thread included, 1 … 4096. nicer: so many steps nicer than the caller are the pool's own
 * threads, participants 1 … n-1 (0: as nice); the caller's niceness stays as it is. Signals (but for faults) are blocked in
 * the pool's threads. */
sl_status sl_workers_new(int threads, int nicer, sl_workers **ret, sl_error *e);
sl_workers *sl_workers_free(sl_workers *w); /* joins the threads; NULL is fine; returns NULL */

int sl_workers_count(const sl_workers *w);
void sl_workers_run(sl_workers *w, sl_workers_fn *fn, void *ctx); /* one region; returns when all are through */

/* Inside a region only. */
int sl_workers_take(sl_workers *w, int self);     /* 0, 1, 2 … across all participants since the last barrier */
void sl_workers_barrier(sl_workers *w, int self);

/* Any thread: items taken since start, for the watchdog of /livez. */
uint64_t sl_workers_progress(const sl_workers *w);

#endif
