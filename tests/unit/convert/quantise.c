/* Quantisers against the bytes that ggml's own made (tests/reference/quantised). */
#include "convert/quantise.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 512

static void *file(const char *name, const char *suffix, size_t *ret_size) {
    char path[512];
    const char *tests = getenv("SLUICE_TESTS");
    snprintf(path, sizeof path, "%s/reference/quantised/%s%s", tests ? tests : "tests", name, suffix);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    *ret_size = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*ret_size);
    ck_assert(data && fread(data, 1, *ret_size, f) == *ret_size);
    fclose(f);
    return data;
}

static void check_type(sl_type type, const float *importance, const char *suffix) {
    size_t size, want_size, stride = (size_t)(COLUMNS / sl_types[type].block_values * sl_types[type].block_bytes);
    float *x = file("x", ".f32", &size);
    uint8_t *want = file(sl_types[type].name, suffix, &want_size), *got = malloc(stride + 1);
    size_t rows = size / sizeof *x / COLUMNS;
    ck_assert_uint_eq(want_size, rows * stride);
    for (size_t r = 0; r < rows; r++) {
        got[stride] = 0xA5;
        sl_quantise_row(type, x + r * COLUMNS, COLUMNS, importance, got);
        ck_assert_int_eq(got[stride], 0xA5);
        for (size_t i = 0; i < stride; i++)
            ck_assert_msg(got[i] == want[r * stride + i], "%s%s, row %zu, byte %zu: %d, not %d", sl_types[type].name, suffix, r, i,
                          got[i], want[r * stride + i]);
    }
    free(x);
    free(want);
    free(got);
}

START_TEST(bytes_are_the_references) {
    for (int t = 0; t < SL_TYPE_COUNT; t++)
        if (sl_types[t].quantised && sl_types[t].ggml_id >= 0) check_type((sl_type)t, NULL, ".blocks");
}
END_TEST

START_TEST(bytes_with_importance_are_the_references) {
    size_t size;
    float *importance = file("importance", ".f32", &size);
    ck_assert_uint_eq(size, COLUMNS * sizeof *importance);
    for (int t = 0; t < SL_TYPE_COUNT; t++)
        if (sl_types[t].quantised && sl_types[t].ggml_id >= 0)
            check_type((sl_type)t, importance, t == SL_TYPE_Q8_0 || t == SL_TYPE_MXFP4 ? ".blocks" : ".important.blocks");
    free(importance);
}
END_TEST

/* formats.md's vectors of the plain types. */
START_TEST(floats) {
    const float x[] = {0.5f, -0.25f, 5.9604645e-08f, 65504, 1, -1.5f, 65520, 0x1.01p0f, 0x1.03p0f};
    const uint16_t f16[] = {0x3800, 0xb400, 0x0001, 0x7bff, 0x3c00, 0xbe00, 0x7c00, 0x3c04, 0x3c0c};
    const uint16_t bf16[] = {0x3f00, 0xbe80, 0x3380, 0x4780, 0x3f80, 0xbfc0, 0x4780, 0x3f80, 0x3f82};
    enum { N = sizeof x / sizeof *x };
    uint16_t half[N];
    float same[N];
    sl_quantise_row(SL_TYPE_F16, x, N, NULL, (uint8_t *)half);
    ck_assert_mem_eq(half, f16, sizeof f16);
    sl_quantise_row(SL_TYPE_BF16, x, N, NULL, (uint8_t *)half);
    ck_assert_mem_eq(half, bf16, sizeof bf16);
    sl_quantise_row(SL_TYPE_F32, x, N, NULL, (uint8_t *)same);
    ck_assert_mem_eq(same, x, sizeof x);
    const float nan[] = {NAN};
    sl_quantise_row(SL_TYPE_BF16, nan, 1, NULL, (uint8_t *)half);
    ck_assert_int_gt(half[0] & 0x7fff, 0x7f80);
}
END_TEST

START_TEST(values_that_no_block_can_hold) {
    float x[] = {1, 2, 3, 4};
    ck_assert_int_eq(sl_quantise_bad(x, 4), -1);
    x[2] = INFINITY;
    ck_assert_int_eq(sl_quantise_bad(x, 4), 2);
    x[1] = NAN;
    ck_assert_int_eq(sl_quantise_bad(x, 4), 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("convert/quantise");
    TCase *t = tcase_create("quantise");
    tcase_add_test(t, bytes_are_the_references);
    tcase_add_test(t, bytes_with_importance_are_the_references);
    tcase_add_test(t, floats);
    tcase_add_test(t, values_that_no_block_can_hold);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
