/* Where keys and values lie: every head of every page has its own bytes, and together they are what the cost says. */
#include "forward/kv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* unkept: every second layer, the first among them, keeps no keys and values; mixed: every second has heads of twice the size, and
 * one KV head more */
static const struct { int layers, heads, kv_heads, head_dim; bool unkept, mixed; } shapes[] = {
    {1, 1, 1, 1, false, false}, {3, 4, 2, 33, false, false}, {2, 12, 3, 80, false, false},
    {5, 8, 8, 128, false, false}, {5, 4, 2, 64, true, false}, {5, 6, 2, 64, false, true}};
enum { SHAPES = sizeof shapes / sizeof shapes[0], PAGES = 7 };

static sl_hparams hparams(int shape) {
    sl_hparams hp = {.layers = shapes[shape].layers};
    sl_hparams_heads(&hp, shapes[shape].heads, shapes[shape].kv_heads, shapes[shape].head_dim);
    for (int i = 0; shapes[shape].unkept && i < hp.layers; i += 2) hp.mixer[i] = SL_MIXER_DELTA;
    for (int i = 0; shapes[shape].mixed && i < hp.layers; i += 2) hp.head_dim[i] *= 2, hp.kv_heads[i]++;
    return hp;
}

/* A head of a page, and its bytes. */
typedef struct place {
    uint8_t *at;
    size_t bytes;
} place;

static int by_address(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

START_TEST(heads_fill_the_mapping_without_gap_or_overlap) {
    for (int type = 0; type < SL_KV_COUNT; type++) {
        sl_hparams hp = hparams(_i);
        sl_kv kv;
        sl_error e;
        ck_assert_msg(sl_kv_open(&hp, (sl_kv_type)type, PAGES, &kv, &e) == SL_OK, "%s", e.message);
        int count = 0, most = 0;
        for (int layer = 0; layer < hp.layers; layer++) most += hp.kv_heads[layer] * PAGES;
        place *head = calloc((size_t)most, sizeof *head);
        for (int layer = 0; layer < hp.layers; layer++)
            for (int h = 0; hp.mixer[layer] == SL_MIXER_ATTENTION && h < hp.kv_heads[layer]; h++)
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
        free(head);
        sl_kv_close(&kv);
        ck_assert_ptr_null(kv.data);
        sl_kv_close(&kv);
    }
}
END_TEST

/* Pages with neighbouring numbers are neighbours in memory, for each layer and KV head. */
START_TEST(neighbouring_pages_are_one_piece) {
    sl_hparams hp = hparams(1);
    sl_kv kv;
    sl_error e;
    ck_assert(sl_kv_open(&hp, SL_KV_I16, PAGES, &kv, &e) == SL_OK);
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
    ck_assert(floats.position_bytes == 196608);
    ck_assert(integers.position_bytes == 98304 + 48 * 4 * 8);
    ck_assert_uint_eq(floats.page_bytes, 196608 * SL_PAGE);
    ck_assert(floats.row_multiplies == 48.0 * 32 * 256 && integers.row_multiplies == floats.row_multiplies);
}
END_TEST

START_TEST(refuses_what_cannot_be) {
    sl_hparams hp = {.layers = 512};
    sl_hparams_heads(&hp, 64, 64, 4096);
    sl_kv kv = {0};
    sl_error e;
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, 0, &kv, &e), SL_INVALID);
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, INT32_MAX, &kv, &e), SL_INVALID); /* 2^64 bytes and more */
    ck_assert_int_eq(sl_kv_open(&hp, SL_KV_F32, 1 << 20, &kv, &e), SL_NOMEM);     /* more than any address space */
    ck_assert_msg(strstr(e.message, "KV pages") != NULL, "%s", e.message);
    ck_assert_ptr_null(kv.data);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kv");
    TCase *t = tcase_create("kv");
    tcase_add_loop_test(t, heads_fill_the_mapping_without_gap_or_overlap, 0, SHAPES);
    tcase_add_test(t, neighbouring_pages_are_one_piece);
    tcase_add_test(t, cost_of_a_known_model);
    tcase_add_test(t, refuses_what_cannot_be);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
