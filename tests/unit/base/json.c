#include "base/json.h"

#include <string.h>

#include "../run.h"

static sl_json parse(const char *text, const char *origin) {
    sl_json top;
    sl_error e;
    ck_assert_msg(sl_json_parse(text, strlen(text), origin, &top, &e) == SL_OK, "%s", e.message);
    return top;
}

static void refuse(const char *text, size_t len, const char *part) {
    sl_json top;
    sl_error e;
    ck_assert_int_eq(sl_json_parse(text, len, "", &top, &e), SL_INVALID);
    ck_assert_msg(strstr(e.message, part), "%s", e.message);
    ck_assert_str_eq(e.param, "");
}

START_TEST(test_paths) {
    sl_json top = parse("{\"rope_scaling\":{\"factor\":\"x\"},\"prompt\":[1,2,[true]]}", "dir/config.json"), a, b, c;
    sl_error e;
    double x = 7;
    ck_assert(sl_json_get(&top, "rope_scaling", &a) && sl_json_get(&a, "factor", &b));
    ck_assert_int_eq(sl_json_float(&b, 1, 1000, &x, &e), SL_FORMAT);
    ck_assert_str_eq(e.message, "dir/config.json: rope_scaling.factor: must be a number from 1 to 1000");
    ck_assert_str_eq(e.param, "rope_scaling");
    ck_assert(x == 7);
    json_decref(top.v);

    top = parse("{\"prompt\":[1,2,[true]],\"temperature\":3}", "");
    int64_t i = 7;
    ck_assert(sl_json_get(&top, "prompt", &a) && sl_json_at(&a, 2, &b) && sl_json_at(&b, 0, &c));
    ck_assert_int_eq(sl_json_int(&c, 0, 9, &i, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "prompt[2][0]: must be an integer from 0 to 9");
    ck_assert_str_eq(e.param, "prompt");
    ck_assert_int_eq(sl_json_opt_float(&top, "temperature", 0, 2, &x, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "temperature: must be a number from 0 to 2");
    ck_assert(!sl_json_get(&top, "absent", &a));
    ck_assert_int_eq(sl_json_int(&a, 1, 2, &i, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "absent: is missing (must be an integer from 1 to 2)");
    ck_assert_uint_eq(sl_json_size(&top), 2);
    json_decref(top.v);
}
END_TEST

START_TEST(test_types) {
    sl_json top = parse("{\"i\":16,\"r\":16.0,\"h\":16.5,\"b\":true,\"s\":\"a\\u0000b\",\"n\":null,\"big\":1e300,"
                        "\"a\":[1,2,3],\"neg\":-1}", ""), v;
    sl_error e;
    int64_t i = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    size_t n = 0;
    ck_assert_int_eq(sl_json_opt_int(&top, "i", 0, 99, &i, &e), SL_OK);
    ck_assert_int_eq(i, 16);
    i = 0;
    ck_assert_int_eq(sl_json_opt_int(&top, "r", 0, 99, &i, &e), SL_OK);
    ck_assert_int_eq(i, 16);
    ck_assert_int_eq(sl_json_opt_int(&top, "h", 0, 99, &i, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_int(&top, "b", 0, 99, &i, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_int(&top, "s", 0, 99, &i, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_int(&top, "big", INT64_MIN, INT64_MAX, &i, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_int(&top, "neg", 0, INT64_MAX, &i, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "neg: must be an integer of at least 0");
    i = 5;
    ck_assert_int_eq(sl_json_opt_int(&top, "n", 0, 9, &i, &e), SL_OK); /* null is absent */
    ck_assert_int_eq(sl_json_opt_int(&top, "none", 0, 9, &i, &e), SL_OK);
    ck_assert_int_eq(i, 5);
    ck_assert_int_eq(sl_json_opt_float(&top, "i", 0, 99, &d, &e), SL_OK);
    ck_assert(d == 16);
    ck_assert_int_eq(sl_json_opt_float(&top, "b", 0, 99, &d, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_bool(&top, "b", &b, &e), SL_OK);
    ck_assert(b);
    ck_assert_int_eq(sl_json_opt_bool(&top, "i", &b, &e), SL_INVALID);
    ck_assert_int_eq(sl_json_opt_string(&top, "s", &s, &n, &e), SL_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_mem_eq(s, "a\0b", 3);
    ck_assert_int_eq(sl_json_opt_string(&top, "s", &s, NULL, &e), SL_INVALID); /* a C string cannot hold it */
    ck_assert(sl_json_get(&top, "a", &v));
    ck_assert_int_eq(sl_json_array(&v, 3, &e), SL_OK);
    ck_assert_int_eq(sl_json_array(&v, 2, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "a: must have at most 2 elements");
    ck_assert_int_eq(sl_json_object(&v, &e), SL_INVALID);
    ck_assert(!sl_json_at(&v, 3, &v));
    json_decref(top.v);
}
END_TEST

/* Promise 3 */
START_TEST(test_malformed) {
    refuse("{", 1, "line 1");
    refuse("", 0, "the body is not valid JSON");
    refuse("{\"a\":1,\"a\":2}", 13, "duplicate");
    refuse("{} x", 4, "end of file");
    refuse("{\"a\":\"\xff\"}", 9, "unable to decode byte");
    refuse("{\"a\":1e999}", 11, "real number overflow");
    refuse("{\"a\":99999999999999999999}", 26, "too big integer");
    refuse("\"text\"", 6, "the body");
    sl_json top;
    sl_error e;
    ck_assert_int_eq(sl_json_parse("[", 1, "f.json", &top, &e), SL_FORMAT);
    ck_assert_int_eq(strncmp(e.message, "f.json: is not valid JSON: ", 27), 0);
}
END_TEST

/* Promise 3: no recursion follows the input's depth. */
START_TEST(test_depth) {
    enum { DEEP = 1000000 };
    char *text = malloc(DEEP);
    memset(text, '[', DEEP);
    refuse(text, DEEP, "nests deeper than 64");
    for (int i = 0; i < DEEP; i += 5) memcpy(text + i, "{\"a\":", 5);
    refuse(text, DEEP, "nests deeper than 64");
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    refuse(text, 130, "nests deeper");
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    sl_json top;
    ck_assert_int_eq(sl_json_parse(text, 128, "", &top, NULL), SL_OK);
    json_decref(top.v);
    text[0] = '[', text[1] = '"'; /* brackets and quotes inside a string do not count */
    memset(text + 2, '[', 1000);
    memcpy(text + 500, "\\\"\\\\", 4);
    memcpy(text + 1002, "\"]", 2);
    ck_assert_int_eq(sl_json_parse(text, 1004, "", &top, NULL), SL_OK);
    json_decref(top.v);
    free(text);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/json", 30, test_paths, test_types, test_malformed, test_depth);
}
