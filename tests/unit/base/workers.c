#include "base/clock.h"
#include "base/workers.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../run.h"

enum { ITEMS = 37, PHASES = 5 };

typedef struct job {
    sl_workers *w;
    int done[PHASES][ITEMS]; /* times that the item ran */
    long sum[PHASES];        /* of the phase before, by whoever took item 0: invariant 2 */
    int naps;
} job;

static void phases(void *ctx, int self) {
    job *j = ctx;
    for (int p = 0; p < PHASES; p++) {
        for (int i; (i = sl_workers_take(j->w, self)) < ITEMS;) {
            j->done[p][i]++;
            if (i == 0 && p > 0)
                for (int k = 0; k < ITEMS; k++) j->sum[p] += j->done[p - 1][k];
            if (j->naps && i % 16 == self % 16) usleep((useconds_t)(rand() % 300)); /* makes the others sleep */
        }
        sl_workers_barrier(j->w, self);
    }
}

static void run_regions(int threads, int regions, int naps) {
    sl_workers *w;
    sl_error e;
    ck_assert_int_eq(sl_workers_new(threads, 0, &w, &e), SL_OK);
    ck_assert_int_eq(sl_workers_count(w), threads);
    for (int r = 0; r < regions; r++) {
        job j = {.w = w, .naps = naps};
        sl_workers_run(w, phases, &j);
        for (int p = 0; p < PHASES; p++) {
            for (int i = 0; i < ITEMS; i++) ck_assert_int_eq(j.done[p][i], 1);
            if (p) ck_assert_int_eq(j.sum[p], ITEMS);
        }
        if (naps) usleep((useconds_t)(rand() % 200)); /* sometimes the pool sleeps before the next region */
    }
    ck_assert_uint_ge(sl_workers_progress(w), (uint64_t)regions * PHASES * ITEMS);
    ck_assert_ptr_null(sl_workers_free(w));
}

START_TEST(test_every_item_once) {
    run_regions(1, 200, 0);
    run_regions(2, 2000, 0);
    run_regions(3, 300, 0);
    run_regions(8, 100, 0); /* more threads than this machine has cores */
}
END_TEST

START_TEST(test_sleep_and_wake) {
    run_regions(2, 300, 1);
    run_regions(5, 60, 1);
}
END_TEST

static void note_nice(void *ctx, int self) { ((int *)ctx)[self] = getpriority(PRIO_PROCESS, (id_t)gettid()); }

/* Beside a caller that is itself nicer than usual, the distance stays; 19 is the end of the scale. */
START_TEST(test_nice) {
    static const struct { int own, steps, want; } cases[] = {{0, 0, 0}, {0, 3, 3}, {4, 0, 4}, {4, 3, 7}, {7, 5, 12}, {18, 5, 19}};
    int start = getpriority(PRIO_PROCESS, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_workers *w;
        int nice[2] = {-1, -1}, own = start > cases[i].own ? start : cases[i].own, want = own + cases[i].steps;
        ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, own), 0); /* only ever up: down takes a privilege */
        ck_assert_int_eq(sl_workers_new(2, cases[i].steps, &w, NULL), SL_OK);
        sl_workers_run(w, note_nice, nice);
        ck_assert_int_eq(nice[0], own);
        ck_assert_int_eq(nice[1], want > 19 ? 19 : want);
        if (start == 0) ck_assert_int_eq(nice[1], cases[i].want);
        sl_workers_free(w);
    }
}
END_TEST

static void nothing(void *ctx, int self) {
    (void)ctx;
    (void)self;
}

/* Invariant 3. */
START_TEST(test_idle_costs_nothing) {
    sl_workers *w;
    struct timespec a, b;
    ck_assert_int_eq(sl_workers_new(4, 0, &w, NULL), SL_OK);
    sl_workers_run(w, nothing, NULL);
    usleep(20000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    usleep(300000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
    ck_assert_msg(seconds < 0.02, "%.4f s of CPU while idle", seconds);
    sl_workers_free(w);
}
END_TEST

START_TEST(test_bad_count) {
    sl_workers *w = NULL;
    sl_error e;
    ck_assert_int_eq(sl_workers_new(0, 0, &w, &e), SL_INVALID);
    ck_assert_ptr_null(w);
    ck_assert_ptr_null(sl_workers_free(NULL));
}
END_TEST

int main(void) {
    return RUN_TESTS("base/workers", 120, test_every_item_once, test_sleep_and_wake, test_nice, test_idle_costs_nothing, test_bad_count);
}
