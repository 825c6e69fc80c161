/* The safetensors container, from bytes: the format's worked example, and the reference reader's rules. */
#include "model/internal.h"

#include <stdlib.h>
#include "writer.h"

static sl_status parse(const void *data, size_t size, sl_arena **ret_arena, sl__tensors *ret, sl_error *e) {
    *ret_arena = sl_arena_new();
    *ret = (sl__tensors){.index.arena = *ret_arena};
    return sl__safetensors_parse(data, size, "test", 0, ret, e);
}

START_TEST(worked_example) { /* formats.md 4.7 */
    const char *json = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                       "\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]}}  ";
    const uint8_t data[] = {0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0x80, 0x3f};
    sl_buffer b = {0};
    put_text(&b, json);
    sl_buffer_append(&b, data, sizeof data);
    ck_assert_uint_eq(b.len, 130);
    sl_arena *arena;
    sl__tensors t;
    sl_error e;
    ck_assert_msg(parse(b.data, b.len, &arena, &t, &e) == SL_OK, "%s", e.message);
    sl__tensor *x = sl__tensors_find(&t, "a"), *y = sl__tensors_find(&t, "b");
    float values[2];
    ck_assert(x && y && x->type == SL_TYPE_F32 && y->type == SL_TYPE_BF16 && y->dims == 0 && y->bytes == 2);
    ck_assert(sl__tensor_is(x, 1, 2, 1));
    memcpy(values, x->data, sizeof values);
    ck_assert(values[0] == 1.5f && values[1] == -2.0f && y->data[1] == 0x3f);
    sl_arena_free(arena);
    for (size_t i = 0; i < b.len; i++) { /* cut anywhere: the rules leave no byte out */
        ck_assert_int_eq(parse(b.data, i, &arena, &t, &e), SL_FORMAT);
        sl_arena_free(arena);
    }
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x55;
        if (parse(b.data, b.len, &arena, &t, &e) != SL_OK) ck_assert(*e.message);
        sl_arena_free(arena);
        b.data[i] ^= 0x55;
    }
    sl_buffer_done(&b);
}
END_TEST

static void refused(const char *json, size_t bytes, const char *part) {
    sl_buffer b = {0};
    put_text(&b, json);
    for (size_t i = 0; i < bytes; i++) sl_buffer_append(&b, "", 1);
    sl_arena *arena;
    sl__tensors t;
    sl_error e = {0};
    ck_assert_msg(parse(b.data, b.len, &arena, &t, &e) != SL_OK, "accepted: %s", json);
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
    sl_arena_free(arena);
    sl_buffer_done(&b);
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

START_TEST(rules) {
    refused("[]", 0, "no JSON object");
    refused("{\"a\":" T("F32", "[2]", "[0,8]") "}", 7, "beyond the file");
    refused("{\"a\":" T("F32", "[2]", "[0,8]") "}", 9, "after the last tensor");
    refused("{\"a\":" T("F32", "[2]", "[1,9]") "}", 9, "holes or overlaps");
    refused("{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[1]", "[4,8]") "}", 8, "holes or overlaps");
    refused("{\"a\":" T("F32", "[2]", "[8,0]") "}", 8, "data_offsets");
    refused("{\"a\":" T("F32", "[2]", "[-8,0]") "}", 8, "data_offsets");
    refused("{\"a\":" T("F32", "[3]", "[0,8]") "}", 8, "not what shape and dtype say");
    refused("{\"a\":" T("F4", "[3]", "[0,1]") "}", 1, "not what shape and dtype say");
    refused("{\"a\":" T("F32", "[-2]", "[0,8]") "}", 8, "shape[0]");
    refused("{\"a\":" T("F32", "[2.0]", "[0,8]") "}", 8, "shape[0]");
    refused("{\"a\":" T("F32", "[\"2\"]", "[0,8]") "}", 8, "shape[0]");
    refused("{\"a\":" T("F32", "[4294967296,4294967296,2]", "[0,8]") "}", 8, "more values than can be counted");
    refused("{\"a\":" T("F32", "[9223372036854775807]", "[0,8]") "}", 8, "more values than can be counted");
    refused("{\"a\":" T("F32", "[2]", "[0,8,8]") "}", 8, "data_offsets");
    refused("{\"a\":" T("F32", "2", "[0,8]") "}", 8, "shape");
    refused("{\"a\":{\"dtype\":\"F32\"}}", 8, "shape");
    refused("{\"a\":7}", 8, "a");
    refused("{\"a\":" T("F32", "[2]", "[0,8]") ",\"a\":" T("F32", "[0]", "[8,8]") "}", 8, "duplicate");
    refused("{\"a\":" T("F32", "[2]", "[0,8]"), 8, "JSON");
    refused("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 8, "nests deeper");
    char huge[8] = {0, 0, 0, 0, 0, 0, 0, 0x7f};
    sl_arena *arena;
    sl__tensors t;
    sl_error e;
    ck_assert_int_eq(parse(huge, sizeof huge, &arena, &t, &e), SL_FORMAT);
    sl_arena_free(arena);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model/safetensors");
    TCase *c = tcase_create("safetensors");
    tcase_add_test(c, worked_example);
    tcase_add_test(c, rules);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
