/* Slots of state: who has them, which are kept, and which is given up first. */
#include "engine/states.h"

#include <check.h>

#include "../run.h"

enum { SLOTS = 4, PAGES = 10 };

static sl__states x;
static sl_arena *arena;

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__states_init(&x, SLOTS, PAGES, arena, &e), SL_OK);
}

static void unmake(int free, int saved) {
    ck_assert_int_eq(x.free_count, free);
    ck_assert_int_eq(x.saved_count, saved);
    sl_arena_free(arena);
}

START_TEST(every_slot_is_taken_once) {
    make();
    int seen[SLOTS] = {0};
    for (int i = 0; i < SLOTS; i++) seen[sl__states_take(&x)]++;
    for (int i = 0; i < SLOTS; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(sl__states_take(&x), -1);
    for (int i = 0; i < SLOTS; i++) sl__states_drop(&x, i);
    unmake(SLOTS, 0);
}
END_TEST

START_TEST(what_was_used_longest_ago_goes_first) {
    make();
    int32_t slot[SLOTS];
    for (int i = 0; i < SLOTS; i++) sl__states_save(&x, slot[i] = sl__states_take(&x), i);
    sl__states_read(&x, slot[0]); /* used again */
    sl__states_read_end(&x, slot[0]);
    for (int i = 1; i < SLOTS; i++) {
        ck_assert_int_eq(sl__states_take(&x), slot[i]);
        ck_assert_int_eq(sl__states_of(&x, i), -1);
    }
    ck_assert_int_eq(sl__states_of(&x, 0), slot[0]);
    ck_assert_int_eq(x.evicted, 3);
    for (int i = 1; i < SLOTS; i++) sl__states_drop(&x, slot[i]);
    unmake(3, 1);
}
END_TEST

START_TEST(what_is_read_stays) {
    make();
    int32_t first = sl__states_take(&x);
    sl__states_save(&x, first, 7);
    sl__states_read(&x, first);
    sl__states_read(&x, first);
    for (int i = 1; i < SLOTS; i++) ck_assert_int_ne(sl__states_take(&x), first);
    ck_assert_int_eq(sl__states_take(&x), -1);
    ck_assert(!sl__states_take_over(&x, first)); /* two read it */
    sl__states_read_end(&x, first);
    ck_assert(sl__states_take_over(&x, first));
    ck_assert_int_eq(sl__states_of(&x, 7), -1);
    for (int i = 0; i < SLOTS; i++) sl__states_drop(&x, i);
    unmake(SLOTS, 0);
}
END_TEST

/* Its page is known no more: free at once, or when nobody reads it. */
START_TEST(what_is_forgotten_is_free) {
    make();
    int32_t a = sl__states_take(&x), b = sl__states_take(&x);
    sl__states_save(&x, a, 1);
    sl__states_save(&x, b, 2);
    sl__states_forget(&x, 1);
    sl__states_forget(&x, 1);
    sl__states_forget(&x, 3);
    ck_assert_int_eq(x.free_count, 3);
    sl__states_read(&x, b);
    sl__states_forget(&x, 2);
    ck_assert_int_eq(sl__states_of(&x, 2), -1);
    ck_assert_int_eq(x.free_count, 3);
    sl__states_read_end(&x, b);
    unmake(SLOTS, 0);
}
END_TEST

START_TEST(a_page_has_one) {
    make();
    int32_t a = sl__states_take(&x), b = sl__states_take(&x);
    sl__states_save(&x, a, 5);
    sl__states_save(&x, b, 5);
    ck_assert_int_eq(sl__states_of(&x, 5), a);
    unmake(3, 1);
}
END_TEST

START_TEST(without_state_nothing_is_saved) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_uint_eq(sl__states_bytes(0, PAGES), 0);
    ck_assert_int_eq(sl__states_init(&x, 0, PAGES, arena, &e), SL_OK);
    ck_assert_int_eq(sl__states_of(&x, 3), -1);
    sl__states_forget(&x, 3);
    unmake(0, 0);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/states", 10, every_slot_is_taken_once, what_was_used_longest_ago_goes_first, what_is_read_stays,
                     what_is_forgotten_is_free, a_page_has_one, without_state_nothing_is_saved);
}
