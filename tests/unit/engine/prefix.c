#include "engine/prefix.h"

#include <string.h>

#include "../run.h"

enum { TOTAL = 200 };
static sl_arena *arena;
static sl__prefix x;
static int32_t token[TOTAL][SL_PAGE];

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__prefix_init(&x, TOTAL, arena, &e), SL_OK);
    ck_assert_uint_le(sl_arena_used(arena, SL_MEM_SEQUENCES), sl__prefix_bytes(TOTAL) + 128);
    for (int i = 0; i < TOTAL; i++)
        for (int k = 0; k < SL_PAGE; k++) token[i][k] = k * 1000 + (k == SL_PAGE - 1 ? i : 0); /* differ in the last token */
}

static void unmake(void) { arena = sl_arena_free(arena); }

static uint64_t constant(const void *data, size_t len) {
    (void)data;
    return len;
}

static uint64_t (*const hashes[])(const void *, size_t) = {NULL, constant};

/* Whatever the hash, also if all collide: the tokens decide, all of them. */
START_TEST(tokens_are_compared) {
    make();
    if (hashes[_i]) x.hash = hashes[_i];
    for (int i = 0; i < TOTAL - 1; i++) {
        ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 0, token[i]), -1);
        sl__prefix_add(&x, i, SL__ROOT, 0, token[i]);
    }
    for (int i = 0; i < TOTAL - 1; i++) ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 0, token[i]), i);
    for (int k = 0; k < SL_PAGE; k++) { /* another token anywhere */
        token[3][k] ^= 1 << 20;
        ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 0, token[3]), -1);
        token[3][k] ^= 1 << 20;
    }
    for (int i = 0; i < TOTAL - 1; i += 2) sl__prefix_remove(&x, i);
    for (int i = 0; i < TOTAL - 1; i++) ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 0, token[i]), i % 2 ? i : -1);
    unmake();
}
END_TEST

/* The same tokens below other pages, or below the root of another salt, are another page. */
START_TEST(all_that_is_above_counts) {
    make();
    if (hashes[_i]) x.hash = hashes[_i];
    sl__prefix_add(&x, 0, SL__ROOT, 0, token[0]);
    sl__prefix_add(&x, 1, SL__ROOT, 5, token[0]);
    sl__prefix_add(&x, 2, 0, 0, token[0]);
    sl__prefix_add(&x, 3, 1, 5, token[0]);
    sl__prefix_add(&x, 4, 2, 0, token[0]);
    ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 0, token[0]), 0);
    ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 5, token[0]), 1);
    ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 6, token[0]), -1);
    ck_assert_int_eq(sl__prefix_find(&x, 0, 0, token[0]), 2);
    ck_assert_int_eq(sl__prefix_find(&x, 1, 5, token[0]), 3);
    ck_assert_int_eq(sl__prefix_find(&x, 2, 0, token[0]), 4);
    ck_assert_int_eq(sl__prefix_find(&x, 4, 0, token[0]), -1);
    sl__prefix_remove(&x, 3);
    sl__prefix_remove(&x, 1);
    sl__prefix_add(&x, 1, 4, 0, token[9]); /* the page has other contents now */
    ck_assert_int_eq(sl__prefix_find(&x, SL__ROOT, 5, token[0]), -1);
    ck_assert_int_eq(sl__prefix_find(&x, 1, 5, token[0]), -1);
    ck_assert_int_eq(sl__prefix_find(&x, 4, 0, token[9]), 1);
    unmake();
}
END_TEST

START_TEST(the_most_in_common) {
    make();
    int32_t t[SL_PAGE];
    memcpy(t, token[0], sizeof t);
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, SL_PAGE), -1); /* nothing is there */
    sl__prefix_add(&x, 0, SL__ROOT, 0, token[0]);
    t[20] = -1;
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, SL_PAGE), 20);
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, 15), 15);
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 1, t, SL_PAGE), -1); /* another salt's are not looked at */
    ck_assert_int_eq(sl__prefix_common(&x, 0, 0, t, SL_PAGE), -1);
    memcpy(token[1], t, sizeof t);
    token[1][25] = -1;
    sl__prefix_add(&x, 1, SL__ROOT, 0, token[1]);
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, SL_PAGE), 25);
    sl__prefix_remove(&x, 1);
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, SL_PAGE), 20);
    for (int i = 2; i < 2 + SL__LOOKED; i++) { /* page 0 is too old to be looked at */
        token[i][0] = -1;
        sl__prefix_add(&x, i, SL__ROOT, 0, token[i]);
    }
    ck_assert_int_eq(sl__prefix_common(&x, SL__ROOT, 0, t, SL_PAGE), 0);
    unmake();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/prefix");
    TCase *t = tcase_create("engine/prefix");
    tcase_add_loop_test(t, tokens_are_compared, 0, 2);
    tcase_add_loop_test(t, all_that_is_above_counts, 0, 2);
    tcase_add_test(t, the_most_in_common);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
