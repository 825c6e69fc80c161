/* A phase: every item once; then every row once; then once, once. For few rows and many, with and without tails. */
#include "forward/internal.h"

#include <check.h>
#include <stdlib.h>

enum { MOST_ITEMS = 40, MOST_ROWS = 9, ROUNDS = 60 };

typedef struct trial {
    sl_forward f;
    sl_step step;
    atomic_int item[MOST_ITEMS], row[MOST_ROWS], once, wrong;
    int items;
    bool tail, last;
} trial;

static trial *now; /* phases have no argument of their own */

static void wrong_if(bool x) {
    if (x) atomic_fetch_add(&now->wrong, 1);
}

static bool all(atomic_int *count, int n) {
    for (int i = 0; i < n; i++)
        if (atomic_load(&count[i]) != 1) return false;
    return true;
}

static void item(sl_forward *f, int layer, int self, int i) {
    wrong_if(f != &now->f || layer != 7 || self < 0 || self >= f->c.threads || i < 0 || i >= now->items);
    atomic_fetch_add(&now->item[i], 1);
}

static void tail(sl_forward *f, int layer, int row) {
    wrong_if(f != &now->f || layer != 7 || row < 0 || row >= now->step.rows || !all(now->item, now->items));
    atomic_fetch_add(&now->row[row], 1);
}

static void once(sl_forward *f, int layer) {
    wrong_if(f != &now->f || layer != 7 || !all(now->item, now->items) || (now->tail && !all(now->row, now->step.rows)));
    atomic_fetch_add(&now->once, 1);
}

/* Several phases in one region: what one leaves behind must not disturb the next. */
static void region(void *ctx, int self) {
    trial *t = ctx;
    for (int round = 0; round < ROUNDS; round++) {
        sl__phase(&t->f, 7, self, t->items, item, t->tail ? tail : NULL, t->last ? once : NULL);
        if (self == 0) {
            wrong_if(!all(t->item, t->items));
            wrong_if(t->tail && !all(t->row, t->step.rows));
            wrong_if(atomic_load(&t->once) != t->last);
            for (int i = 0; i < MOST_ITEMS; i++) atomic_store(&t->item[i], 0);
            for (int i = 0; i < MOST_ROWS; i++) atomic_store(&t->row[i], 0);
            atomic_store(&t->once, 0);
        }
        sl_workers_barrier(t->f.c.workers, self);
    }
}

START_TEST(everything_once_and_in_order) {
    static const int counts[] = {1, 2, 7, MOST_ITEMS}, rows[] = {1, 2, 3, MOST_ROWS};
    int threads = _i;
    sl_workers *w;
    sl_error e;
    ck_assert_msg(sl_workers_new(threads, 0, &w, &e) == SL_OK, "%s", e.message);
    for (int n = 0; n < 4 * 4 * 4; n++) {
        trial *t = now = calloc(1, sizeof *t);
        t->f.c.workers = w;
        t->f.c.threads = threads;
        t->f.step = &t->step;
        t->items = counts[n % 4];
        t->step.rows = rows[n / 4 % 4];
        t->tail = n / 16 & 1;
        t->last = n / 32 & 1;
        sl_workers_run(w, region, t);
        ck_assert_msg(atomic_load(&t->wrong) == 0, "%d threads, %d items, %d rows, tail %d, once %d", threads, t->items,
                      t->step.rows, t->tail, t->last);
        free(t);
    }
    sl_workers_free(w);
}
END_TEST

int main(void) {
    Suite *s = suite_create("phase");
    TCase *t = tcase_create("phase");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, everything_once_and_in_order, 1, 5);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
