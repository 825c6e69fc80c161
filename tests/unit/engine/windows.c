/* Window pages: who has them, which are kept, and which are given up first. */
#include "engine/windows.h"

#include <check.h>

#include "../run.h"

enum { TOTAL = 5, PAGES = 10, WINDOW = 40, CTX = 1000 };

static sl__windows x;
static sl_arena *arena;
static sl_hparams hp = {.layers = 3, .window = {0, WINDOW, 8}};

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__windows_init(&x, TOTAL, PAGES, &hp, CTX, arena, &e), SL_OK);
}

static void unmake(int free, int kept) {
    ck_assert_int_eq(x.free_count, free);
    ck_assert_int_eq(x.kept_count, kept);
    sl_arena_free(arena);
}

static int32_t attached(int32_t page) {
    int32_t w = sl__windows_take(&x);
    ck_assert_int_eq(sl__windows_attach(&x, w, page), w);
    ck_assert_int_eq(sl__windows_of(&x, page), w);
    return w;
}

START_TEST(every_one_is_taken_once) {
    make();
    int seen[TOTAL] = {0};
    for (int i = 0; i < TOTAL; i++) seen[sl__windows_take(&x)]++;
    for (int i = 0; i < TOTAL; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(sl__windows_take(&x), -1);
    for (int i = 0; i < TOTAL; i++) sl__windows_drop(&x, i, true);
    unmake(TOTAL, 0); /* not attached: of no use to anybody */
}
END_TEST

START_TEST(passed_ones_go_before_ends_and_of_each_the_first_dropped) {
    make();
    int32_t w[TOTAL];
    for (int i = 0; i < TOTAL; i++) w[i] = attached(i);
    static const int drop[] = {1, 0, 4, 3, 2}; /* 1 and 4 are ends */
    for (int i = 0; i < TOTAL; i++) sl__windows_drop(&x, w[drop[i]], drop[i] == 1 || drop[i] == 4);
    ck_assert_int_eq(x.kept_count, TOTAL);
    static const int order[] = {0, 3, 2, 1, 4};
    for (int i = 0; i < TOTAL; i++) {
        ck_assert_int_eq(sl__windows_take(&x), w[order[i]]);
        ck_assert_int_eq(sl__windows_of(&x, order[i]), -1);
    }
    ck_assert_int_eq(x.evicted, TOTAL);
    ck_assert_int_eq(sl__windows_take(&x), -1);
    for (int i = 0; i < TOTAL; i++) sl__windows_drop(&x, w[i], false);
    unmake(TOTAL, 0);
}
END_TEST

START_TEST(what_is_held_stays) {
    make();
    int32_t w = attached(7);
    sl__windows_share(&x, w);
    sl__windows_drop(&x, w, false);
    for (int i = 1; i < TOTAL; i++) ck_assert_int_ne(sl__windows_take(&x), w);
    ck_assert_int_eq(sl__windows_take(&x), -1);
    sl__windows_drop(&x, w, false);
    sl__windows_share(&x, w); /* found again */
    ck_assert_int_eq(sl__windows_take(&x), -1);
    sl__windows_drop(&x, w, true);
    ck_assert_int_eq(sl__windows_available(&x), 1);
    for (int i = 0; i < TOTAL; i++)
        if (i != w) sl__windows_drop(&x, i, false);
    unmake(TOTAL - 1, 1);
}
END_TEST

START_TEST(a_page_has_one) {
    make();
    int32_t a = attached(5), b = sl__windows_take(&x);
    ck_assert_int_eq(sl__windows_attach(&x, b, 5), a);
    ck_assert_int_eq(x.window[a].count, 2);
    ck_assert_int_eq(x.free_count, TOTAL - 1);
    sl__windows_drop(&x, a, true);
    sl__windows_drop(&x, a, true);
    unmake(TOTAL - 1, 1);
}
END_TEST

START_TEST(what_is_forgotten_is_free) {
    make();
    sl__windows_drop(&x, attached(1), true);
    sl__windows_drop(&x, attached(2), false);
    sl__windows_forget(&x, 1);
    sl__windows_forget(&x, 1);
    sl__windows_forget(&x, 3);
    ck_assert_int_eq(sl__windows_of(&x, 1), -1);
    unmake(TOTAL - 1, 1);
}
END_TEST

/* The widest window counts: of 40, its own position among them. */
START_TEST(the_first_page_is_that_of_the_widest_window) {
    make();
    ck_assert_int_eq(sl__windows_first(&x, 0), 0);
    ck_assert_int_eq(sl__windows_first(&x, SL_PAGE + WINDOW - 2), 0);
    ck_assert_int_eq(sl__windows_first(&x, SL_PAGE + WINDOW - 1), 1);
    ck_assert_int_eq(sl__windows_first(&x, CTX - 1), (CTX - WINDOW) / SL_PAGE);
    unmake(TOTAL, 0);
}
END_TEST

START_TEST(without_windows_nothing_is_attached) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_uint_eq(sl__windows_bytes(0, PAGES), 0);
    ck_assert_int_eq(sl__windows_init(&x, 0, PAGES, &hp, CTX, arena, &e), SL_OK);
    ck_assert_int_eq(sl__windows_of(&x, 3), -1);
    sl__windows_forget(&x, 3);
    unmake(0, 0);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/windows", 10, every_one_is_taken_once, passed_ones_go_before_ends_and_of_each_the_first_dropped, what_is_held_stays,
                     a_page_has_one, what_is_forgotten_is_free, the_first_page_is_that_of_the_widest_window, without_windows_nothing_is_attached);
}
