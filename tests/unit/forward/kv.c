/* Where keys and values lie: every head of every page has its own bytes, and together they are what the cost says. */
#include "forward/kv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* unkept: every second layer, the first among them, keeps no keys and values; mixed: every second has heads of twice the size, and
 * one KV head more; shared: the last two have the keys of layers 0 and 1 */
static const struct { int layers, heads, kv_heads, head_dim; bool unkept, mixed, shared; } shapes[] = {
    {1, 1, 1, 1, false, false, false}, {3, 4, 2, 33, false, false, false}, {2, 12, 3, 80, false, false, false}, {5, 8, 8, 128, false, false, false},
    {5, 4, 2, 64, true, false, false}, {5, 6, 2, 64, false, true, false}, {5, 6, 2, 64, false, true, true}};
enum { SHAPES = sizeof shapes / sizeof shapes[0], PAGES = 7 };

static sl_hparams hparams(int shape) {
    sl_hparams hp = {.layers = shapes[shape].layers};
    sl_hparams_heads(&hp, shapes[shape].heads, shapes[shape].kv_heads, shapes[shape].head_dim);
    for (int i = 0; shapes[shape].unkept && i < hp.layers; i += 2) hp.mixer[i] = SL_MIXER_DELTA;
    for (int i = 0; shapes[shape].mixed && i < hp.layers; i += 2) hp.head_dim[i] *= 2, hp.kv_heads[i]++;
    if (shapes[shape].shared) hp.keys_of[3] = 2, hp.keys_of[4] = 1;
    return hp;
}

/* A head of a page, and its bytes. */
typedef struct place {
    uint8_t *at;
    size_t bytes;
} place;

/* Every second layer has a window of 8, where ctx is more. */
static void give_windows(sl_hparams *hp) {
    for (int i = 1; i < hp->layers; i += 2) hp->window[i] = 8;
}

static int by_address(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

START_TEST(heads_fill_the_mapping_without_gap_or_overlap) {
    for (int type = 0; type < SL_KV_COUNT; type++) {
        sl_hparams hp = hparams(_i);
        sl_kv kv;
        sl_error e;
        ck_assert_msg(sl_kv_open(&hp, (sl_kv_type)type, 64, PAGES, 0, &kv, &e) == SL_OK, "%s", e.message);
        int count = 0, most = 0;
        for (int layer = 0; layer < hp.layers; layer++) most += hp.kv_heads[layer] * PAGES;
        place *head = calloc((size_t)most, sizeof *head);
        for (int layer = 0; layer < hp.layers; layer++)
            for (int h = 0; hp.mixer[layer] == SL_MIXER_ATTENTION && !hp.keys_of[layer] && h < hp.kv_heads[layer]; h++)
                for (int page = 0; page < PAGES; page++)
                    head[count++] = (place){sl_kv_head(&kv, page, layer, h), kv.layer[layer].head_bytes};
        qsort(head, (size_t)count, sizeof *head, by_address);
        size_t before = 0;
        for (int i = 0; i < count; i++) {
            ck_assert_ptr_eq(head[i].at, kv.data + before);
            ck_assert_uint_eq((uintptr_t)head[i].at % 64, 0);
            memset(head[i].at, 1, head[i].bytes); /* a sanitizer or the mapping's end would tell */
            before += head[i].bytes;
        }
        ck_assert_uint_eq(before, kv.mapped);
        ck_assert_uint_eq(sl_kv_cost_of(&hp, (sl_kv_type)type).page_bytes * PAGES, kv.mapped);
        if (shapes[_i].shared) ck_assert_ptr_eq(sl_kv_head(&kv, 2, 3, 1), sl_kv_head(&kv, 2, 1, 1));
        free(head);
        sl_kv_close(&kv);
        ck_assert_ptr_null(kv.data);
        sl_kv_close(&kv);
    }
}
END_TEST

/* Layers with a window have pages of their own, and what both kinds cost is what is mapped. */
START_TEST(kinds_have_their_own_pages) {
    enum { CTX = 64, WINDOWS = 3 };
    sl_hparams hp = hparams(_i);
    sl_kv kv;
    sl_error e;
    give_windows(&hp);
    ck_assert_msg(sl_kv_open(&hp, SL_KV_I16, CTX, PAGES, WINDOWS, &kv, &e) == SL_OK, "%s", e.message);
    uint8_t *at = kv.data;
    for (int layer = 0; layer < hp.layers; layer++) {
        bool windowed = hp.window[layer] && hp.mixer[layer] == SL_MIXER_ATTENTION;
        ck_assert_int_eq(kv.layer[layer].kind, windowed ? SL_KV_WINDOWED : SL_KV_FULL);
        for (int h = 0; hp.mixer[layer] == SL_MIXER_ATTENTION && !hp.keys_of[layer] && h < hp.kv_heads[layer]; h++)
            for (int page = 0; page < (windowed ? WINDOWS : PAGES); page++, at += kv.layer[layer].head_bytes)
                ck_assert_ptr_eq(sl_kv_head(&kv, page, layer, h), at);
    }
    size_t full = sl_kv_page_bytes(&hp, SL_KV_I16, CTX, SL_KV_FULL), windowed = sl_kv_page_bytes(&hp, SL_KV_I16, CTX, SL_KV_WINDOWED);
    ck_assert_uint_eq((size_t)(at - kv.data), kv.mapped);
    ck_assert_uint_eq(full * PAGES + windowed * WINDOWS, kv.mapped);
    ck_assert_uint_eq(full + windowed, sl_kv_cost_of(&hp, SL_KV_I16).page_bytes);
    sl_kv_page_sizes with = sl_kv_page_sizes_of(&hp, SL_KV_I16, CTX, true), without = sl_kv_page_sizes_of(&hp, SL_KV_I16, CTX, false);
    ck_assert(with.page == full && with.window_page == windowed && without.page == full + windowed && without.window_page == 0);
    sl_kv_close(&kv);
    ck_assert_uint_eq(sl_kv_page_bytes(&hp, SL_KV_I16, 8, SL_KV_WINDOWED), 0); /* a window of all there is */
}
END_TEST

/* By trying every position: no later row sees less than is said, and one sees that much. */
START_TEST(windows_say_what_is_needed) {
    enum { CTX = 300 };
    static const int windows[][3] = {{0, 8, 0}, {1, 1, 1}, {0, 33, 100}, {CTX, 64, CTX + 5}, {0, CTX, 0}, {2, 32, 0}};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        sl_hparams hp = {.layers = 3, .window = {windows[w][0], windows[w][1], windows[w][2]}};
        int widest = 0;
        for (int i = 0; i < 3; i++)
            if (windows[w][i] < CTX && windows[w][i] > widest) widest = windows[w][i];
        sl_kv_window window = sl_kv_window_of(&hp, CTX);
        ck_assert_int_eq(window.positions, widest);
        for (int rows = 1; rows < CTX; rows += 9) {
            int most = 0;
            for (int p = 0; widest && p + rows <= CTX; p++) {
                int first = p >= widest ? p - widest + 1 : 0, pages = (p + rows - 1) / SL_PAGE - first / SL_PAGE + 1;
                ck_assert_int_eq(sl_kv_first_in(window, p), first);
                if (pages > most) most = pages;
            }
            ck_assert_int_ge(sl_kv_window_pages(window, CTX, rows), most);
            ck_assert_int_le(sl_kv_window_pages(window, CTX, rows), most + 1); /* one more where it could begin only beyond the end */
        }
    }
}
END_TEST

/* A chunk is seen from its beginning on, and a step's rows may stand in several. */
START_TEST(chunks_say_what_is_needed) {
    enum { CTX = 300, CHUNK = 48 };
    sl_hparams hp = {.layers = 3, .window = {0, CHUNK, CHUNK}, .chunked = true};
    sl_kv_window window = sl_kv_window_of(&hp, CTX);
    ck_assert_int_eq(window.positions, CHUNK);
    for (int rows = 1; rows < CTX; rows += 9)
        for (int p = 0; p + rows <= CTX; p++) {
            ck_assert_int_eq(sl_kv_first_in(window, p), p / CHUNK * CHUNK);
            ck_assert_int_le((p + rows - 1) / SL_PAGE - p / CHUNK * CHUNK / SL_PAGE + 1, sl_kv_window_pages(window, CTX, rows));
        }
}
END_TEST

/* Pages with neighbouring numbers are neighbours in memory, for each layer and KV head. */
START_TEST(neighbouring_pages_are_one_piece) {
    sl_hparams hp = hparams(1);
    sl_kv kv;
    sl_error e;
    ck_assert(sl_kv_open(&hp, SL_KV_I16, 64, PAGES, 0, &kv, &e) == SL_OK);
    for (int page = 1; page < PAGES; page++)
        ck_assert_ptr_eq(sl_kv_head(&kv, page, 2, 1), sl_kv_head(&kv, page - 1, 2, 1) + kv.layer[2].head_bytes);
    sl_kv_close(&kv);
}
END_TEST

/* Qwen3-30B-A3B: 48 layers, 32 heads, 4 KV heads of 128. In floats a position is 48 x 4 x (128 + 128) x 4 bytes; as 16-bit
 * integers half of that and two scales of 4 bytes for each layer and KV head. */
START_TEST(cost_of_a_known_model) {
    sl_hparams hp = {.layers = 48};
    sl_hparams_heads(&hp, 32, 4, 128);
    sl_kv_cost floats = sl_kv_cost_of(&hp, SL_KV_F32), integers = sl_kv_cost_of(&hp, SL_KV_I16);
    ck_assert(floats.position.bytes == 196608);
    ck_assert(integers.position.bytes == 98304 + 48 * 4 * 8);
    ck_assert_uint_eq(floats.page_bytes, 196608 * SL_PAGE);
    ck_assert(floats.position.multiplies == 48.0 * 32 * 256 && integers.position.multiplies == floats.position.multiplies);
}
END_TEST

/* 32768 positions in models with windows, and what they would take without. In 16 bits a position takes 4 (d + 2) bytes for each layer and
 * KV head. Windows: gpt-oss-20b 128, every second layer; Gemma 3 27B 1024, all but every sixth; Mistral-7B-v0.1 4096, all. */
START_TEST(long_sequences_in_known_models) {
    enum { CTX = 32768, PAGES_ALL = CTX / SL_PAGE };
    static const struct { int layers, heads, kv_heads, head_dim, window, every, windowed, window_pages; } models[] = {
        {24, 64, 8, 64, 128, 2, 12, 5}, {62, 32, 16, 128, 1024, 6, 52, 33}, {32, 32, 8, 128, 4096, 0, 32, 129}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sl_hparams hp = {.layers = models[i].layers};
        sl_hparams_heads(&hp, models[i].heads, models[i].kv_heads, models[i].head_dim);
        for (int l = 0; l < hp.layers; l++)
            if (!models[i].every || (l + 1) % models[i].every) hp.window[l] = models[i].window;
        size_t layer = (size_t)SL_PAGE * (size_t)models[i].kv_heads * 4 * ((size_t)models[i].head_dim + 2);
        size_t full = sl_kv_page_bytes(&hp, SL_KV_I16, CTX, SL_KV_FULL), windowed = sl_kv_page_bytes(&hp, SL_KV_I16, CTX, SL_KV_WINDOWED);
        ck_assert_uint_eq(windowed, layer * (size_t)models[i].windowed);
        ck_assert_uint_eq(full, layer * (size_t)(models[i].layers - models[i].windowed));
        ck_assert_int_eq(sl_kv_window_pages(sl_kv_window_of(&hp, CTX), CTX, 1), models[i].window_pages);
        size_t before = sl_kv_cost_of(&hp, SL_KV_I16).page_bytes * PAGES_ALL, after = full * PAGES_ALL + windowed * (size_t)models[i].window_pages;
        if (getenv("SLUICE_TEST_VERBOSE"))
            fprintf(stderr, "%d layers: %.1f MiB, %.1f MiB with windows\n", hp.layers, (double)before / 0x1p20,
                    (double)after / 0x1p20);
        sl_kv_work last = sl_kv_work_of(&hp, SL_KV_I16, CTX - 1);
        ck_assert(last.bytes == (double)full / SL_PAGE * CTX + (double)windowed / SL_PAGE * models[i].window);
        ck_assert(last.multiplies == 2.0 * models[i].heads * models[i].head_dim *
                                         ((models[i].layers - models[i].windowed) * (double)CTX + models[i].windowed * (double)models[i].window));
    }
}
END_TEST

START_TEST(refuses_what_cannot_be) {
    sl_hparams hp = {.layers = 512};
    sl_hparams_heads(&hp, 64, 64, 4096);
    sl_kv kv = {0};
    sl_error e;
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, 64, 0, 0, &kv, &e), SL_INVALID);
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, 64, INT32_MAX, 0, &kv, &e), SL_INVALID); /* 2^64 bytes and more */
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, 64, 1 << 20, 0, &kv, &e), SL_NOMEM);     /* more than any address space */
    ck_assert_msg(strstr(e.message, "KV pages") != NULL, "%s", e.message);
    ck_assert_ptr_null(kv.data);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kv");
    TCase *t = tcase_create("kv");
    tcase_add_loop_test(t, heads_fill_the_mapping_without_gap_or_overlap, 0, SHAPES);
    tcase_add_loop_test(t, kinds_have_their_own_pages, 0, SHAPES);
    tcase_add_test(t, windows_say_what_is_needed);
    tcase_add_test(t, chunks_say_what_is_needed);
    tcase_add_test(t, neighbouring_pages_are_one_piece);
    tcase_add_test(t, cost_of_a_known_model);
    tcase_add_test(t, long_sequences_in_known_models);
    tcase_add_test(t, refuses_what_cannot_be);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
