/* The ready list between two threads, without a model: no entry is lost, none comes after the last one. */
#include "engine/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../run.h"

enum { REQUESTS = 40, ROUNDS = 20000 };

static sl_engine g;
static sl_request *request[REQUESTS];
static _Atomic int told[REQUESTS]; /* how often the engine had news of it */
static _Atomic int wakes;

static void count_wake(void *arg) {
    (void)arg;
    atomic_fetch_add(&wakes, 1);
}

static void open_engine(void) {
    memset(&g, 0, sizeof g);
    g.config.wake = count_wake;
    atomic_store(&wakes, 0);
    for (int i = 0; i < REQUESTS; i++) {
        request[i] = calloc(1, sizeof *request[i]);
        request[i]->open = 1;
        request[i]->user = (void *)(uintptr_t)i;
        atomic_store(&told[i], 0);
    }
}

START_TEST(one_entry_stands_for_all_news) {
    open_engine();
    ck_assert_ptr_null(sl_engine_take_ready(&g));
    sl__news_publish(&g);
    ck_assert_int_eq(wakes, 0); /* nothing to tell */
    sl__news(&g, request[1]);
    sl__news(&g, request[2]);
    sl__news(&g, request[1]);
    sl__news_publish(&g);
    sl__news(&g, request[3]);
    sl__news(&g, request[1]);
    request[2]->open = 0;
    sl__news(&g, request[2]); /* ends while its entry waits */
    sl__news_publish(&g);
    ck_assert_int_eq(wakes, 2);
    bool seen[4] = {0};
    int count = 0;
    for (sl_request *r = sl_engine_take_ready(&g); r; r = sl_request_ready_next(r), count++) {
        ck_assert(!seen[(uintptr_t)r->user]);
        seen[(uintptr_t)r->user] = true;
        ck_assert_int_eq(sl_request_over(r), r == request[2]);
    }
    ck_assert_int_eq(count, 3);
    ck_assert_ptr_null(sl_engine_take_ready(&g));
    request[1]->open = 0;
    sl__news(&g, request[1]);
    sl__news_publish(&g);
    ck_assert_ptr_eq(sl_engine_take_ready(&g), request[1]);
    ck_assert(sl_request_over(request[1]));
    for (int i = 0; i < REQUESTS; i++) free(request[i]);
}
END_TEST

static void *engine(void *arg) {
    (void)arg;
    unsigned x = 1;
    for (int round = 0; round <= ROUNDS; round++) {
        for (int i = 0; i < REQUESTS; i++) {
            bool last = round == ROUNDS - i * 100;
            x = x * 1664525u + 1013904223u;
            if (round > ROUNDS - i * 100 || (!last && x >> 29)) continue;
            atomic_fetch_add(&told[i], 1);
            if (last) request[i]->open = 0;
            sl__news(&g, request[i]);
        }
        sl__news_publish(&g);
    }
    return NULL;
}

/* Promise 3: the loop frees a request as soon as it is over, while the engine goes on with others. */
START_TEST(nothing_is_lost_and_nothing_comes_after_the_end) {
    open_engine();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, engine, NULL), 0);
    int heard[REQUESTS] = {0};
    for (int left = REQUESTS; left > 0;)
        for (sl_request *r = sl_engine_take_ready(&g), *next; r; r = next) {
            next = sl_request_ready_next(r);
            size_t i = (size_t)(uintptr_t)r->user;
            heard[i] = atomic_load(&told[i]); /* what an entry stands for: everything until now */
            if (!sl_request_over(r)) continue;
            ck_assert_ptr_eq(request[i], r);
            request[i] = NULL;
            memset(r, 0x5a, sizeof *r);
            free(r);
            left--;
        }
    pthread_join(thread, NULL);
    ck_assert_ptr_null(sl_engine_take_ready(&g));
    for (int i = 0; i < REQUESTS; i++) ck_assert_int_eq(heard[i], told[i]);
}
END_TEST

int main(void) { return RUN_TESTS("engine/news", 60, one_entry_stands_for_all_news, nothing_is_lost_and_nothing_comes_after_the_end); }
