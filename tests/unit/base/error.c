#include "base/error.h"

#include <string.h>

#include "../run.h"

START_TEST(test_fill) {
    sl_error e;
    ck_assert_int_eq(sl_fail_param(&e, SL_INVALID, "top_p", "top_p: must be a number from %d to %d", 0, 1), SL_INVALID);
    ck_assert_int_eq(e.code, SL_INVALID);
    ck_assert_str_eq(e.message, "top_p: must be a number from 0 to 1");
    ck_assert_str_eq(e.param, "top_p");
    ck_assert_int_eq(sl_fail(&e, SL_IO, "no such file"), SL_IO);
    ck_assert_str_eq(e.param, "");
    ck_assert_int_eq(sl_error_prefix(&e, "%s", "model.gguf"), SL_IO);
    ck_assert_str_eq(e.message, "model.gguf: no such file");
    ck_assert_int_eq(sl_error_prefix(NULL, "outer"), SL_INVALID); /* a failure stays one */
    ck_assert_int_eq(sl_fail(NULL, SL_NOMEM, "nobody listens"), SL_NOMEM);
    ck_assert_str_eq(sl_status_text(SL_FORMAT), "malformed file");
    ck_assert_str_eq(sl_status_text((sl_status)999), "unknown status");
}
END_TEST

/* Names from files come with any bytes. */
START_TEST(test_bad_bytes) {
    sl_error e;
    sl_fail(&e, SL_FORMAT, "tensor \"%s\"", "a\nb\x01\xff\xc3(\xc3\xa9");
    ck_assert_str_eq(e.message, "tensor \"a b ?" "?(\xc3\xa9\"");
    sl_fail_param(&e, SL_INVALID, "x\ny\x80", "m");
    ck_assert_str_eq(e.param, "x y?");
}
END_TEST

START_TEST(test_cut) {
    sl_error e;
    for (size_t lead = 0; lead < 8; lead++) { /* the cut falls on each byte of a character */
        char text[1000] = "12345678";
        text[lead] = 0;
        while (strlen(text) < 900) strcat(text, "\xf0\x9f\x98\x80");
        sl_fail(&e, SL_FORMAT, "%s", text);
        size_t len = strlen(e.message);
        ck_assert_uint_gt(len, sizeof e.message - 5);
        ck_assert_uint_eq((len - lead) % 4, 0);
        ck_assert_mem_eq(e.message, text, len);
        sl_error_prefix(&e, "ab");
        ck_assert_uint_lt(strlen(e.message), sizeof e.message);
        ck_assert_uint_eq((strlen(e.message) - lead) % 4, 0);
    }
}
END_TEST

int main(void) {
    return RUN_TESTS("base/error", 30, test_fill, test_bad_bytes, test_cut);
}
