#include "engine/ring.h"

#include <pthread.h>
#include <string.h>

#include "../run.h"

static sl__ring ring_of(size_t size) { return (sl__ring){.data = aligned_alloc(64, size), .size = size}; }

static bool put(sl__ring *r, uint8_t what, size_t n) {
    void *p = sl__ring_reserve(r, n);
    if (!p) return false;
    ck_assert_uint_eq((uintptr_t)p % 8, 0);
    memset(p, what, n);
    sl__ring_commit(r, n);
    return true;
}

static void expect(sl__ring *r, uint8_t what, size_t n) {
    const uint8_t *p = sl__ring_next(r);
    ck_assert_ptr_nonnull(p);
    bool right = true;
    for (size_t i = 0; i < n; i++) right = right && p[i] == what;
    ck_assert(right);
}

START_TEST(records_come_out_in_order_and_whole) {
    sl__ring r = ring_of(1024);
    unsigned sizes[] = {0, 1, 7, 8, 9, 100, 300, 13};
    for (int turn = 0; turn < 200; turn++) { /* over the end many times */
        for (uint8_t i = 0; i < 8; i++) {
            if (i == 5) { expect(&r, 1, 0); }
            ck_assert(put(&r, (uint8_t)(i + 1), sizes[i]));
        }
        for (uint8_t i = 1; i < 8; i++) expect(&r, (uint8_t)(i + 1), sizes[i]);
        ck_assert_ptr_null(sl__ring_next(&r));
    }
    free(r.data);
}
END_TEST

START_TEST(a_full_ring_refuses_until_something_was_read) {
    sl__ring r = ring_of(1024);
    int inside = 0;
    while (put(&r, (uint8_t)inside, 56)) inside++;
    ck_assert_int_eq(inside, 16); /* 56 and their size are 64 */
    ck_assert(!put(&r, 0, 0));
    expect(&r, 0, 56);
    ck_assert_msg(!put(&r, 99, 56), "the record that was handed out may be in use");
    expect(&r, 1, 56);
    ck_assert(put(&r, 99, 56));
    for (uint8_t i = 2; i < 16; i++) expect(&r, i, 56);
    expect(&r, 99, 56);
    ck_assert_ptr_null(sl__ring_next(&r));
    ck_assert_msg(!sl__ring_reserve(&r, 2000), "larger than the ring");
    free(r.data);
}
END_TEST

/* Promise 3: an unstreamed request never overflows. */
START_TEST(size_takes_its_worst_case) {
    srand(1);
    for (int turn = 0; turn < 300; turn++) {
        size_t largest = 1 + (size_t)rand() % 3000, total = 0, n[64];
        int count = 1 + rand() % 64;
        for (int i = 0; i < count; i++) {
            n[i] = (size_t)rand() % (largest + 1);
            total += n[i] + 16;
        }
        sl__ring r = ring_of(sl__ring_size(total, largest));
        for (int i = 0; i < count; i++) ck_assert(put(&r, (uint8_t)i, n[i]));
        for (int i = 0; i < count; i++) expect(&r, (uint8_t)i, n[i]);
        for (int i = 0; i < 200; i++) { /* a reader that keeps up never makes it full, wherever the end falls */
            bool through = put(&r, 7, i % 2 ? largest : (size_t)rand() % (largest + 1));
            through = through && sl__ring_next(&r) && !sl__ring_next(&r);
            if (!through) ck_abort_msg("record %d of ring %d", i, turn);
        }
        free(r.data);
    }
    ck_assert_uint_eq(sl__ring_size(SIZE_MAX - 4, 100), 0);
    ck_assert_uint_eq(sl__ring_size(100, SIZE_MAX - 4), 0);
    ck_assert_uint_eq(sl__ring_size(SIZE_MAX / 2 + 2, 100), 0);
}
END_TEST

enum { MANY = 200000 };

static void *write_all(void *arg) {
    sl__ring *r = arg;
    uint32_t random = 5;
    for (uint32_t i = 0; i < MANY; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t words = 1 + (random >> 24) % 40, *p;
        while (!(p = sl__ring_reserve(r, words * sizeof *p))) sched_yield();
        for (uint32_t k = 0; k < words; k++) p[k] = i + k;
        sl__ring_commit(r, words * sizeof *p);
    }
    return NULL;
}

START_TEST(a_writer_and_a_reader) {
    sl__ring r = ring_of(1024);
    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_all, &r), 0);
    uint32_t random = 5;
    for (uint32_t i = 0; i < MANY; i++) {
        random = random * 1664525u + 1013904223u;
        const uint32_t *p;
        while (!(p = sl__ring_next(&r))) sched_yield();
        bool right = true;
        for (uint32_t k = 0; k < 1 + (random >> 24) % 40; k++) right = right && p[k] == i + k;
        if (!right) ck_abort_msg("record %u", i);
    }
    pthread_join(writer, NULL);
    free(r.data);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/ring", 60, records_come_out_in_order_and_whole, a_full_ring_refuses_until_something_was_read,
                     size_takes_its_worst_case, a_writer_and_a_reader);
}
