#include "base/alloc.h"
#include "base/buffer.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../run.h"

START_TEST(test_grow) {
    sl_buffer b = {0};
    ck_assert_str_eq(sl_buffer_text(&b), "");
    for (int i = 0; i < 5000; i++) sl_buffer_printf(&b, "%d ", i);
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 4000 * 5);
    sl_buffer_consume(&b, 4);
    ck_assert_int_eq(strncmp(sl_buffer_text(&b), "2 3 4 ", 6), 0);
    sl_buffer_consume(&b, SIZE_MAX);
    ck_assert_uint_eq(b.len, 0);
    char big[1000];
    memset(big, 'x', 999);
    big[999] = 0;
    sl_buffer_printf(&b, "%s", big);
    ck_assert_str_eq(sl_buffer_text(&b), big);
    sl_buffer_clear(&b);
    sl_buffer_puts(&b, "");
    sl_buffer_append(&b, NULL, 0);
    ck_assert_uint_eq(b.len, 0);
    sl_buffer_done(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(test_int) {
    static const long long numbers[] = {0, 7, -1, 10, 151935, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sl_buffer b = {0};
        char expected[32];
        snprintf(expected, sizeof expected, "%lld", numbers[i]);
        sl_buffer_int(&b, numbers[i]);
        ck_assert_str_eq(sl_buffer_text(&b), expected);
        sl_buffer_done(&b);
    }
}
END_TEST

START_TEST(test_failure) {
    sl_buffer b = {0};
    sl_alloc_fail_at(1);
    sl_buffer_puts(&b, "lost");
    sl_alloc_fail_at(0);
    ck_assert(b.failed);
    sl_buffer_puts(&b, "more");
    sl_buffer_printf(&b, "%d", 1);
    sl_buffer_json(&b, "x", 1);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_str_eq(sl_buffer_text(&b), "");
    ck_assert(!sl_buffer_reserve(&b, 1));
    sl_buffer_clear(&b);
    ck_assert(sl_buffer_reserve(&b, 1));
    ck_assert(!sl_buffer_reserve(&b, SIZE_MAX));
    sl_buffer_done(&b);
}
END_TEST

static void check_json(const char *text, size_t len, const char *want) {
    sl_buffer b = {0};
    sl_buffer_json(&b, text, len);
    ck_assert_str_eq(sl_buffer_text(&b), want);
    json_t *back = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL); /* somebody else's parser */
    ck_assert_ptr_nonnull(back);
    json_decref(back);
    sl_buffer_done(&b);
}

START_TEST(test_json) {
    check_json("", 0, "\"\"");
    check_json("a\"b\\c/\n\r\t\b\f", 11, "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\"");
    check_json("\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"");
    check_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
#define R "\xef\xbf\xbd"
    /* ends of a line to Unicode: httpx, and Python's splitlines, would cut a streamed event there */
    check_json("a\xc2\x85" "b\xe2\x80\xa8" "c\xe2\x80\xa9", 11, "\"a\\u0085b\\u2028c\\u2029\"");
    check_json("\xc2\x84\xc2\x86\xe2\x80\xa7\xe2\x80\xaa", 10, "\"\xc2\x84\xc2\x86\xe2\x80\xa7\xe2\x80\xaa\"");
    check_json("a\xff" "b", 3, "\"a" R "b\"");
    check_json("\xc3", 1, "\"" R "\"");                     /* cut */
    check_json("\xc0\xaf", 2, "\"" R R "\"");               /* overlong */
    check_json("\xe0\x9f\xbf", 3, "\"" R R R "\"");         /* overlong */
    check_json("\xed\xa0\x80", 3, "\"" R R R "\"");         /* surrogate */
    check_json("\xf4\x90\x80\x80", 4, "\"" R R R R "\"");   /* over U+10FFFF */
    check_json("\xf0\x8f\xbf\xbf", 4, "\"" R R R R "\"");   /* overlong */
    check_json("\xef\xbf\xbf\xf4\x8f\xbf\xbf", 7, "\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"");
#undef R
}
END_TEST

START_TEST(test_float) {
    sl_buffer b = {0};
    for (uint32_t u = 0; u < 0x7F800000; u += 99991) {
        float x;
        memcpy(&x, &u, sizeof x);
        for (int sign = 0; sign < 2; sign++, x = -x) {
            sl_buffer_clear(&b);
            sl_buffer_float(&b, x);
            float back = strtof(sl_buffer_text(&b), NULL);
            ck_assert_mem_eq(&back, &x, sizeof x);
        }
    }
    sl_buffer_clear(&b);
    sl_buffer_float(&b, -0.1f);
    ck_assert_str_eq(sl_buffer_text(&b), "-0.100000001");
    sl_buffer_done(&b);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/buffer", 30, test_grow, test_int, test_failure, test_json, test_float);
}
