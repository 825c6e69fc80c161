#include "engine/pages.h"

#include <stdbool.h>

#include "../run.h"

enum { TOTAL = 50 };
static sl_arena *arena;
static sl__pages p;

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__pages_init(&p, TOTAL, arena, &e), SL_OK);
}

START_TEST(each_page_is_given_once) {
    make();
    bool seen[TOTAL] = {0};
    for (int i = 0; i < TOTAL; i++) {
        int32_t page = sl__pages_take(&p);
        ck_assert(page >= 0 && page < TOTAL && !seen[page]);
        seen[page] = true;
    }
    ck_assert_int_eq(sl__pages_take(&p), -1);
    ck_assert_int_eq(p.free_count, 0);
    sl__pages_drop(&p, 17);
    ck_assert_int_eq(sl__pages_take(&p), 17);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(a_shared_page_is_free_when_its_last_holder_dropped_it) {
    make();
    int32_t page = sl__pages_take(&p);
    sl__pages_share(&p, page);
    sl__pages_share(&p, page);
    for (int i = 0; i < 2; i++) {
        sl__pages_drop(&p, page);
        ck_assert_int_eq(p.free_count, TOTAL - 1);
    }
    sl__pages_drop(&p, page);
    ck_assert_int_eq(p.free_count, TOTAL);
    arena = sl_arena_free(arena);
}
END_TEST

START_TEST(none_is_lost_or_made) {
    make();
    int holders[TOTAL] = {0}, held = 0;
    srand(2);
    for (int turn = 0; turn < 100000; turn++) {
        int32_t page = rand() % TOTAL;
        switch (rand() % 3) {
        case 0:
            page = sl__pages_take(&p);
            ck_assert_int_eq(page < 0, held == TOTAL);
            if (page < 0) break;
            ck_assert_int_eq(holders[page], 0);
            held += holders[page]++ == 0;
            break;
        case 1:
            if (!holders[page]) break;
            sl__pages_share(&p, page);
            holders[page]++;
            break;
        default:
            if (!holders[page]) break;
            sl__pages_drop(&p, page);
            held -= --holders[page] == 0;
        }
        ck_assert_int_eq(p.free_count, TOTAL - held);
    }
    arena = sl_arena_free(arena);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/pages", 30, each_page_is_given_once, a_shared_page_is_free_when_its_last_holder_dropped_it,
                     none_is_lost_or_made);
}
