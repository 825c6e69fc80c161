#include "fixture.h"
#include "text/internal.h"

#include <time.h>

static const char *const forms[] = {[SL__NFC] = "NFC", [SL__NFD] = "NFD", [SL__NFKC] = "NFKC", [SL__NFKD] = "NFKD"};

/* Promise 2 */
/* As the tokenizers package, which leaves characters newer than Unicode 9.0 where they are, with any libunistring. */
START_TEST(test_forms) {
    json_t *file = reference_json("../unicode/forms.json"), *strings = json_object_get(file, "strings"), *string;
    sl_buffer buffers[2] = {{0}};
    sl_error e = {0};
    size_t i;
    sl__normalizer step = {.kind = (sl__form)_i};
    json_array_foreach(strings, i, string) {
        json_t *want = json_array_get(json_object_get(file, forms[_i]), i);
        const char *have;
        size_t len;
        ck_assert_int_eq(sl__normalize(&step, 1, json_string_value(string), json_string_length(string), buffers, &have, &len, &e), SL_OK);
        ck_assert_msg(len == json_string_length(want) && !memcmp(have, json_string_value(want), len), "%s, string %zu", forms[_i], i);
    }
    sl_buffer_done(&buffers[0]);
    sl_buffer_done(&buffers[1]);
    json_decref(file);
}
END_TEST

/* Four megabytes in which every other character stays where it is. */
START_TEST(test_linear) {
    const size_t size = 4 << 20, n = strlen("e\u0301\U000323b0\u0316");
    char *text = malloc(size);
    size_t len = 0;
    for (; len + n <= size; len += n) memcpy(text + len, "e\u0301\U000323b0\u0316", n);
    sl__normalizer step = {.kind = SL__NFC};
    sl_buffer buffers[2] = {{0}};
    sl_error e = {0};
    const char *have;
    size_t have_len;
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    ck_assert_int_eq(sl__normalize(&step, 1, text, len, buffers, &have, &have_len, &e), SL_OK);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    ck_assert_int_lt(b.tv_sec - a.tv_sec, 10);
    ck_assert_uint_eq(have_len, len - len / n);
    sl_buffer_done(&buffers[0]);
    sl_buffer_done(&buffers[1]);
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("normalize");
    TCase *c = tcase_create("normalize");
    tcase_set_timeout(c, 100);
    tcase_add_loop_test(c, test_forms, 0, 4);
    tcase_add_test(c, test_linear);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
