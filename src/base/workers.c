/* workers.c: the pool, its item counter and its barrier.
 *
 * Two words are waited for, both only ever counted up: `region`, by the pool's threads between two regions, and `phase`,
 * by everybody at a barrier. Who waits remembers the word's old value, spins until it differs, and after SPIN_NS sleeps:
 *
 *     waiter                               releaser
 *     sleepers += 1          (w1)          word += 1              (r1)
 *     if word == old         (w2)          if sleepers > 0        (r2)
 *         futex_wait(word, old) (w3)           futex_wake(all)    (r3)
 *
 * No wake-up is lost. w1, w2, r1 and r2 are sequentially consistent. If w2 still sees the old value, w2 comes before r1
 * in the one order of them all, hence w1 before r2, and the releaser goes on to r3. The kernel compares the word and
 * enqueues the waiter under one lock, which r3 takes too: either w3 finds the new value and returns, or the waiter is in
 * the queue when r3 comes. A waiter that is late (still spinning or asleep) only compares with its own old value; the
 * word cannot move on a second time without it, as the next barrier needs its arrival and a region ends with a barrier.
 *
 * The barrier: arrivals are counted; the last to arrive sets the count and the item counter back to 0 and counts `phase`
 * up. Each arrival is an acquire and a release on `arrived`, the release of `phase` carries all of it on to those who
 * wait, so what was written before a barrier is seen by all after it. The resets are seen too: whoever takes an item
 * after the barrier has read the new `phase`.
 *
 * A region: the owner writes fn and ctx, counts `region` up, runs fn itself and meets the others at one more barrier.
 * After it nobody reads fn or ctx again before the next count, so the owner may change them. */
#include "base/workers.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/thread.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE _Alignas(64) /* own cache line */

enum { SPIN_NS = 40000 };

typedef struct participant {
    LINE atomic_ullong taken; /* items; written by this participant only */
    sl_workers *pool;
    pthread_t thread;
    int self;
} participant;

struct sl_workers {
    LINE atomic_int next;     /* item */
    LINE atomic_int arrived;  /* at the barrier */
    LINE atomic_uint phase;   /* barriers passed */
    LINE atomic_uint region;  /* regions begun */
    LINE atomic_int sleepers; /* on either word */
    LINE sl_workers_fn *fn;   /* of the region; NULL: leave */
    void *ctx;
    int count, nicer;
    participant each[]; /* [count]; 0 is the caller */
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void await_change(sl_workers *w, atomic_uint *word, unsigned old) {
    uint64_t until = 0;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != old) return;
            relax();
        }
        uint64_t now = sl_clock_ns();
        if (!until) until = now + SPIN_NS;
        if (now >= until) break;
    }
    atomic_fetch_add(&w->sleepers, 1);
    while (atomic_load(word) == old) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&w->sleepers, 1);
}

static void release(sl_workers *w, atomic_uint *word) {
    atomic_fetch_add(word, 1);
    if (atomic_load(&w->sleepers) > 0) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void sl_workers_barrier(sl_workers *w, int self) {
    (void)self;
    unsigned phase = atomic_load_explicit(&w->phase, memory_order_relaxed); /* cannot change before we arrive */
    if (atomic_fetch_add_explicit(&w->arrived, 1, memory_order_acq_rel) + 1 < w->count) {
        await_change(w, &w->phase, phase);
        return;
    }
    atomic_store_explicit(&w->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&w->next, 0, memory_order_relaxed);
    release(w, &w->phase);
}

int sl_workers_take(sl_workers *w, int self) {
    atomic_ullong *taken = &w->each[self].taken;
    atomic_store_explicit(taken, atomic_load_explicit(taken, memory_order_relaxed) + 1, memory_order_relaxed);
    return atomic_fetch_add_explicit(&w->next, 1, memory_order_relaxed);
}

static void *worker(void *arg) {
    participant *p = arg;
    sl_workers *w = p->pool;
    char name[16];
    snprintf(name, sizeof name, "sluice-w%d", p->self);
    pthread_setname_np(pthread_self(), name);
    sl_thread_is(SL_THREAD_WORKER);
    sl_thread_nicer(w->nicer);
    for (unsigned region = 0;; region++) {
        await_change(w, &w->region, region);
        if (!w->fn) return NULL;
        w->fn(w->ctx, p->self);
        sl_workers_barrier(w, p->self);
    }
}

void sl_workers_run(sl_workers *w, sl_workers_fn *fn, void *ctx) {
    w->fn = fn;
    w->ctx = ctx;
    release(w, &w->region);
    fn(ctx, 0);
    sl_workers_barrier(w, 0);
}

/* Ends and joins participants 1 … count-1. */
static void end(sl_workers *w, int count) {
    w->fn = NULL;
    release(w, &w->region);
    for (int i = 1; i < count; i++) pthread_join(w->each[i].thread, NULL);
    sl_free(w);
}

sl_status sl_workers_new(int threads, int nicer, sl_workers **ret, sl_error *e) {
    size_t bytes;
    if (threads < 1 || threads > 4096) return sl_fail(e, SL_INVALID, "threads: must be from 1 to 4096");
    if (!sl_mul((size_t)threads, sizeof(participant), &bytes) || !sl_add(bytes, sizeof(sl_workers), &bytes))
        return sl_fail(e, SL_NOMEM, "out of memory for %d threads", threads);
    sl_workers *w = sl_aligned(64, bytes);
    if (!w) return sl_fail(e, SL_NOMEM, "out of memory for %d threads", threads);
    memset(w, 0, bytes);
    w->count = threads;
    w->nicer = nicer;

    int made = 1;
    bool failed = false;
    for (; made < threads; made++) {
        participant *p = &w->each[made];
        p->pool = w;
        p->self = made;
        failed = !sl_thread_start(&p->thread, worker, p);
        if (failed) break;
    }
    if (failed) {
        end(w, made);
        return sl_fail(e, SL_NOMEM, "cannot start thread %d of %d", made, threads);
    }
    *ret = w;
    return SL_OK;
}

sl_workers *sl_workers_free(sl_workers *w) {
    if (w) end(w, w->count);
    return NULL;
}

int sl_workers_count(const sl_workers *w) { return w->count; }

uint64_t sl_workers_progress(const sl_workers *w) {
    uint64_t sum = 0;
    for (int i = 0; i < w->count; i++) sum += atomic_load_explicit(&w->each[i].taken, memory_order_relaxed);
    return sum;
}
