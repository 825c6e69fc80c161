/* Who holds what, what is kept, and which is given up first: against a list that is searched from its beginning. */
#include "engine/kept.h"

#include <check.h>
#include <stdbool.h>

#include "../run.h"

enum { TOTAL = 12 };

static sl__kept k;
static sl_arena *arena;

static void make(void) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__kept_init(&k, TOTAL, "things", arena, &e), SL_OK);
}

static void unmake(int free, int kept) {
    ck_assert_int_eq(k.free_count, free);
    ck_assert_int_eq(k.kept_count, kept);
    sl_arena_free(arena);
}

START_TEST(each_is_taken_once) {
    make();
    for (int i = 0; i < TOTAL; i++) ck_assert_int_eq(sl__kept_take(&k), i); /* low numbers first */
    ck_assert_int_eq(sl__kept_take(&k), -1);
    ck_assert_int_eq(sl__kept_available(&k), 0);
    sl__kept_drop(&k, 3, SL__FREE);
    sl__kept_drop(&k, 7, SL__FREE);
    ck_assert_int_eq(sl__kept_take(&k), 7); /* the last one dropped */
    ck_assert_int_eq(k.evicted, 0);
    unmake(1, 0);
}
END_TEST

START_TEST(what_is_shared_stays_until_its_last_holder_drops_it) {
    make();
    int32_t i = sl__kept_take(&k);
    sl__kept_share(&k, i);
    sl__kept_drop(&k, i, SL__KEPT);
    ck_assert_int_eq(k.kept_count, 0);
    sl__kept_drop(&k, i, SL__KEPT);
    ck_assert_int_eq(k.kept_count, 1);
    sl__kept_share(&k, i);
    for (int n = 1; n < TOTAL; n++) ck_assert_int_ne(sl__kept_take(&k), i);
    ck_assert_int_eq(sl__kept_take(&k), -1);
    unmake(0, 0);
}
END_TEST

START_TEST(free_ones_go_first_then_kept_ones_by_age) {
    make();
    for (int i = 0; i < TOTAL; i++) sl__kept_take(&k);
    static const struct { int i; sl__place place; } drop[] = {{5, SL__KEPT_LONGER}, {2, SL__KEPT}, {9, SL__FREE},
                                                              {1, SL__KEPT_LONGER}, {0, SL__KEPT}, {4, SL__KEPT}};
    static const int order[] = {4, 9, 2, 0, 5, 1};
    for (int i = 0; i < 6; i++) sl__kept_drop(&k, drop[i].i, drop[i].place);
    sl__kept_free(&k, 4); /* as if what is in it were of no use any more */
    for (int i = 0; i < 6; i++) ck_assert_int_eq(sl__kept_take(&k), order[i]);
    ck_assert_int_eq(k.evicted, 4);
    unmake(0, 0);
}
END_TEST

/* Where each one is, and since when: the numbers of the turns are as those of the drops. */
typedef struct thing {
    int holders, since;
    sl__place place;
} thing;

static int next_of(const thing *all) {
    for (sl__place place = SL__FREE; place < SL__PLACES; place++) {
        int found = -1;
        for (int i = 0; i < TOTAL; i++) {
            if (all[i].holders || all[i].place != place) continue;
            if (found < 0 || (place == SL__FREE ? all[i].since > all[found].since : all[i].since < all[found].since)) found = i;
        }
        if (found >= 0) return found;
    }
    return -1;
}

START_TEST(any_history_is_as_the_list_says) {
    srand(1);
    make();
    thing all[TOTAL];
    int kept = 0, evicted = 0;
    for (int i = 0; i < TOTAL; i++) all[i] = (thing){0, -i, SL__FREE};
    for (int turn = 1; turn < 50000; turn++) {
        int i = rand() % TOTAL;
        thing *t = &all[i];
        if (rand() % 3 == 0) {
            int next = next_of(all);
            ck_assert_int_eq(sl__kept_take(&k), next);
            if (next < 0) continue;
            kept -= all[next].place != SL__FREE;
            evicted += all[next].place != SL__FREE;
            all[next].holders = 1;
        } else if (t->holders && rand() % 4) {
            *t = (thing){t->holders - 1, turn, (sl__place)(rand() % SL__PLACES)};
            sl__kept_drop(&k, i, t->place);
            kept += !t->holders && t->place != SL__FREE;
        } else if (t->holders || t->place != SL__FREE) {
            kept -= !t->holders;
            if (t->holders || rand() % 2) {
                sl__kept_share(&k, i);
                t->holders++;
            } else {
                sl__kept_free(&k, i);
                *t = (thing){0, turn, SL__FREE};
            }
        }
        bool right = kept == k.kept_count && evicted == k.evicted;
        for (int n = 0, held = 0; n < TOTAL; n++) {
            held += all[n].holders > 0;
            right = right && k.holders[n] == all[n].holders && (n < TOTAL - 1 || k.free_count == TOTAL - held - kept);
        }
        ck_assert_msg(right, "turn %d", turn);
    }
    ck_assert_int_gt(evicted, 1000);
    sl_arena_free(arena);
}
END_TEST

START_TEST(of_none_there_is_none) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_uint_eq(sl__kept_bytes(0), 0);
    ck_assert_int_eq(sl__kept_init(&k, 0, "things", arena, &e), SL_OK);
    ck_assert_int_eq(sl__kept_available(&k), 0);
    unmake(0, 0);
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/kept", 10, each_is_taken_once, what_is_shared_stays_until_its_last_holder_drops_it,
                     free_ones_go_first_then_kept_ones_by_age, any_history_is_as_the_list_says, of_none_there_is_none);
}
