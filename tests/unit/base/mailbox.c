#include "base/clock.h"
#include "base/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "../run.h"

typedef struct note {
    sl_mail mail;
    int from, number;
} note;

static void count_wake(void *arg) { ++*(int *)arg; }

START_TEST(test_order_and_bound) {
    int wakes = 0;
    sl_mailbox *b = sl_mailbox_new(3, count_wake, &wakes);
    note n[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    ck_assert_ptr_null(sl_mailbox_take(b));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(sl_mailbox_put(b, &n[i].mail), SL_OK);
    ck_assert_int_eq(sl_mailbox_put(b, &n[3].mail), SL_FULL);
    ck_assert_int_eq(wakes, 1); /* from empty to non-empty only */
    ck_assert_int_eq(sl_mailbox_count(b), 3);
    sl_mail *m = sl_mailbox_take(b);
    for (int i = 0; i < 3; i++, m = m->next) ck_assert_int_eq(((note *)m)->number, i);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(sl_mailbox_count(b), 0);
    ck_assert_int_eq(sl_mailbox_put(b, &n[3].mail), SL_OK);
    ck_assert_int_eq(wakes, 2);
    sl_mailbox_close(b);
    ck_assert_int_eq(sl_mailbox_put(b, &n[0].mail), SL_CANCELLED);
    ck_assert_ptr_eq(sl_mailbox_wait(b, UINT64_MAX), &n[3].mail); /* what was inside can still be taken */
    ck_assert_ptr_null(sl_mailbox_wait(b, UINT64_MAX));           /* closed: no wait */
    ck_assert_ptr_null(sl_mailbox_free(b));
}
END_TEST

START_TEST(test_wait) {
    sl_mailbox *b = sl_mailbox_new(0, NULL, NULL);
    uint64_t start = sl_clock_ns();
    ck_assert_ptr_null(sl_mailbox_wait(b, 0));
    ck_assert_ptr_null(sl_mailbox_wait(b, 20 * SL_SECOND / 1000));
    uint64_t took = sl_clock_ns() - start;
    ck_assert_uint_ge(took, 20 * SL_SECOND / 1000);
    ck_assert_uint_lt(took, 5 * SL_SECOND);
    sl_mailbox_poke(b); /* remembered */
    ck_assert_ptr_null(sl_mailbox_wait(b, UINT64_MAX));
    note n = {.number = 1};
    sl_mailbox_put(b, &n.mail);
    ck_assert_ptr_eq(sl_mailbox_wait(b, UINT64_MAX - 1), &n.mail);
    sl_mailbox_free(b);
}
END_TEST

enum { SENDERS = 4, EACH = 5000 };
static sl_mailbox *shared;
static note notes[SENDERS][EACH];

static void *send_all(void *arg) {
    int from = *(int *)arg;
    for (int i = 0; i < EACH; i++) {
        notes[from][i] = (note){.from = from, .number = i};
        while (sl_mailbox_put(shared, &notes[from][i].mail) == SL_FULL) usleep(10);
    }
    return NULL;
}

/* Promise 3: nothing is lost or doubled between threads, and each sender's order is kept. */
START_TEST(test_threads) {
    shared = sl_mailbox_new(64, NULL, NULL);
    pthread_t threads[SENDERS];
    int id[SENDERS], next[SENDERS] = {0};
    for (int i = 0; i < SENDERS; i++) {
        id[i] = i;
        pthread_create(&threads[i], NULL, send_all, &id[i]);
    }
    for (int got = 0; got < SENDERS * EACH;)
        for (sl_mail *m = sl_mailbox_wait(shared, UINT64_MAX); m; m = m->next, got++) {
            note *n = (note *)m;
            ck_assert_int_eq(n->number, next[n->from]++);
        }
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    sl_mailbox_free(shared);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/mailbox", 60, test_order_and_bound, test_wait, test_threads);
}
