/* What is attached to known pages: each page has one at most, and what is given up or forgotten has no page. */
#include "engine/attached.h"

#include <check.h>

#include "../run.h"

enum { TOTAL = 5, PAGES = 10 };

static sl__attached x;
static sl_arena *arena;

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__attached_init(&x, TOTAL, PAGES, "things", arena, &e), SL_OK);
}

static void unmake(int free, int kept) {
    ck_assert_int_eq(x.kept.free_count, free);
    ck_assert_int_eq(x.kept.kept_count, kept);
    sl_arena_free(arena);
}

static int32_t attached(int32_t page) {
    int32_t i = sl__attached_take(&x);
    ck_assert_int_eq(sl__attached_attach(&x, i, page), i);
    ck_assert_int_eq(sl__attached_of(&x, page), i);
    return i;
}

/* What has no page is of no use to anybody. */
START_TEST(what_is_not_attached_is_free_at_once) {
    make();
    for (int i = 0; i < TOTAL; i++) sl__attached_drop(&x, sl__attached_take(&x), SL__KEPT_LONGER);
    unmake(TOTAL, 0);
}
END_TEST

START_TEST(what_is_given_up_has_no_page) {
    make();
    int32_t i[TOTAL];
    for (int k = 0; k < TOTAL; k++) i[k] = attached(k);
    ck_assert_int_eq(x.count, TOTAL);
    ck_assert_int_eq(sl__attached_take(&x), -1);
    static const int drop[] = {1, 0, 4, 3, 2}, order[] = {0, 3, 2, 1, 4}; /* 1 and 4 are kept longer */
    for (int k = 0; k < TOTAL; k++) sl__attached_drop(&x, i[drop[k]], drop[k] == 1 || drop[k] == 4 ? SL__KEPT_LONGER : SL__KEPT);
    sl__attached_share(&x, i[0]); /* used again: it is dropped later than the others */
    sl__attached_drop(&x, i[0], SL__KEPT_LONGER);
    for (int k = 1; k < TOTAL; k++) {
        ck_assert_int_eq(sl__attached_take(&x), i[order[k]]);
        ck_assert_int_eq(sl__attached_of(&x, order[k]), -1);
        ck_assert_int_eq(x.count, TOTAL - k);
    }
    ck_assert_int_eq(sl__attached_of(&x, 0), i[0]);
    ck_assert_int_eq(x.kept.evicted, TOTAL - 1);
    unmake(0, 1);
}
END_TEST

START_TEST(a_page_has_one) {
    make();
    int32_t a = attached(5), b = sl__attached_take(&x);
    ck_assert_int_eq(sl__attached_attach(&x, b, 5), a);
    ck_assert_int_eq(x.kept.holders[a], 2);
    ck_assert_int_eq(x.kept.free_count, TOTAL - 1);
    sl__attached_drop(&x, a, SL__KEPT);
    sl__attached_drop(&x, a, SL__KEPT);
    ck_assert_int_eq(x.count, 1);
    unmake(TOTAL - 1, 1);
}
END_TEST

/* Its page is known no more: free at once, or when nobody holds it. */
START_TEST(what_is_forgotten_is_free) {
    make();
    int32_t a = attached(1), b = attached(2);
    sl__attached_drop(&x, a, SL__KEPT);
    sl__attached_forget(&x, 1);
    sl__attached_forget(&x, 1);
    sl__attached_forget(&x, 3);
    ck_assert_int_eq(sl__attached_of(&x, 1), -1);
    ck_assert_int_eq(x.kept.free_count, TOTAL - 1);
    sl__attached_share(&x, b);
    sl__attached_forget(&x, 2);
    ck_assert_int_eq(sl__attached_of(&x, 2), -1);
    sl__attached_drop(&x, b, SL__KEPT);
    ck_assert_int_eq(x.kept.free_count, TOTAL - 1);
    sl__attached_drop(&x, b, SL__KEPT);
    unmake(TOTAL, 0);
}
END_TEST

START_TEST(an_only_holder_takes_over) {
    make();
    int32_t i = attached(7);
    sl__attached_share(&x, i);
    ck_assert(!sl__attached_take_over(&x, i));
    sl__attached_drop(&x, i, SL__KEPT);
    ck_assert(sl__attached_take_over(&x, i));
    ck_assert_int_eq(sl__attached_of(&x, 7), -1);
    ck_assert_int_eq(x.kept.evicted, 1);
    ck_assert(sl__attached_take_over(&x, i)); /* it has no page: nothing is lost */
    ck_assert_int_eq(x.kept.evicted, 1);
    ck_assert_int_eq(sl__attached_attach(&x, i, 7), i);
    sl__attached_drop(&x, i, SL__KEPT);
    unmake(TOTAL - 1, 1);
}
END_TEST

START_TEST(of_none_there_is_none) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_uint_eq(sl__attached_bytes(0, PAGES), 0);
    ck_assert_int_eq(sl__attached_init(&x, 0, PAGES, "things", arena, &e), SL_OK);
    ck_assert_int_eq(sl__attached_of(&x, 3), -1);
    sl__attached_forget(&x, 3);
    unmake(0, 0);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/attached", 10, what_is_not_attached_is_free_at_once, what_is_given_up_has_no_page, a_page_has_one,
                     what_is_forgotten_is_free, an_only_holder_takes_over, of_none_there_is_none);
}
