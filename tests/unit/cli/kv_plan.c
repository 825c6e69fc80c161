/* How memory for keys and values is divided. */
#include "cli/kv_plan.h"

#include <stdbool.h>

#include "../run.h"

static uint64_t used(const sl_kv_wish *w, sl_kv_pages p) { return p.pages * w->page_bytes + p.window_pages * w->window_bytes; }

START_TEST(one_kind_gets_all) {
    sl_kv_wish w = {.page_bytes = 100, .one = 10};
    sl_kv_pages p = sl_kv_divide(&w, 1234);
    ck_assert(p.pages == 12 && p.window_pages == 0);
}
END_TEST

/* Sequences that run hold 20 window pages, a conversation keeps 16; the longest sequence has 100 pages, and goes on with 6. */
START_TEST(windows_get_what_is_of_use_and_pages_the_rest) {
    sl_kv_wish w = {.page_bytes = 10, .window_bytes = 50, .one = 100, .least = 6, .running = 20};
    sl_kv_pages p = sl_kv_divide(&w, 20 * 50 + 5000 + 9); /* nothing is kept */
    ck_assert(p.window_pages == 20 && p.pages == 500);
    w.ends = 16;
    p = sl_kv_divide(&w, 10 * (128 * 10 + 16 * 50) + 20 * 50); /* ten conversations, and what runs */
    ck_assert(p.window_pages == 20 + 10 * 16 && p.pages == 10 * 128);
    ck_assert_uint_eq(sl_kv_windows_beside(&w, p.pages), p.window_pages);
    w.running = 1000;
    p = sl_kv_divide(&w, 60 * 110); /* as many as there would be of pages for all layers */
    ck_assert(p.window_pages == 110 && p.pages == 110);
    p = sl_kv_divide(&w, 100 * 10 + 7 * 50); /* the longest sequence before many short ones */
    ck_assert(p.window_pages == 7 && p.pages == 100);
    p = sl_kv_divide(&w, 100 * 10 + 6 * 50);
    ck_assert(p.window_pages == 6 && p.pages == 100);
    p = sl_kv_divide(&w, 100 * 10 + 6 * 50 - 1); /* it cannot fit */
    ck_assert_uint_eq(p.window_pages, 1299 / 60);
}
END_TEST

/* Whatever the sizes: nothing is given twice, the longest sequence fits if it can, and no fewer pages of either kind than there were
 * of pages for all layers, unless that is in its way or nobody wants them. */
START_TEST(the_rules_hold) {
    uint32_t x = 7;
    for (int i = 0; i < 200000; i++) {
        uint32_t r[7];
        for (int k = 0; k < 7; k++) r[k] = (x = x * 1664525u + 1013904223u) >> 8;
        sl_kv_wish w = {.page_bytes = 1 + r[0] % 100, .window_bytes = 1 + r[1] % 100, .one = 1 + r[2] % 200, .ends = r[6] % (SL_KV_TALK + 1)};
        w.least = 1 + r[3] % w.one;
        w.running = w.least + r[4] % 300;
        uint64_t bytes = r[5] % 60000, equal = bytes / (w.page_bytes + w.window_bytes), least = w.one * w.page_bytes + w.least * w.window_bytes;
        sl_kv_pages p = sl_kv_divide(&w, bytes);
        ck_assert(used(&w, p) <= bytes && bytes - used(&w, p) < w.page_bytes);
        ck_assert(p.pages >= equal && p.window_pages <= equal);
        if (bytes >= least) ck_assert(p.pages >= w.one && p.window_pages >= w.least);
        bool made_room = bytes >= least && p.pages - w.one <= w.window_bytes / w.page_bytes;
        if (!made_room) ck_assert(p.window_pages >= (equal < w.running ? equal : w.running));
    }
}
END_TEST

START_TEST(with_windows_in_every_layer_pages_cost_nothing) {
    sl_kv_wish w = {.window_bytes = 50, .one = 100, .least = 6, .running = 12, .ends = 10};
    sl_kv_pages p = sl_kv_divide(&w, 1000);
    ck_assert(p.window_pages == 20 && p.pages == UINT64_MAX);
    ck_assert_uint_eq(sl_kv_windows_beside(&w, 256), 12 + 2 * 10);
}
END_TEST

int main(void) {
    return RUN_TESTS("cli/kv_plan", 30, one_kind_gets_all, windows_get_what_is_of_use_and_pages_the_rest, the_rules_hold,
                     with_windows_in_every_layer_pages_cost_nothing);
}
