#include "base/json.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../quiet.h"
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
    refuse("[1\0]", 4, "NUL byte");
    refuse("[\"\\ud800\",1e400\0]", 17, "NUL byte");
    refuse("[\"a\0\"]", 6, "control character");
    refuse("\"text\"", 6, "the body");
    const char *const numbers[] = {"01", "-", "-a", "1.", ".5", "1e", "1e+", "+1", "0x10", "1e400x", "99999999999999999999.", "1 2",
                                   "NaN", "Infinity", "-Infinity", "nan", "00000000000000000000000", "9e308.5"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[64];
        refuse(text, (size_t)snprintf(text, sizeof text, "{\"a\":%s}", numbers[i]), "is not valid JSON");
    }
    sl_json top;
    sl_error e;
    ck_assert_int_eq(sl_json_parse("[", 1, "f.json", &top, &e), SL_FORMAT);
    ck_assert_int_eq(strncmp(e.message, "f.json: is not valid JSON: ", 27), 0);
}
END_TEST

/* Any number that JSON can spell is read, wherever it stands; a getter that wants one says that it is too large. */
START_TEST(test_large_numbers) {
    const char *const large[] = {"1000000000000000019884624838656", "18446744073709551615", "9223372036854775809", "1e400", "1E+400",
                                 "9e308", "123456789e500", "99999999999999999999999999999999999999999999", "9223372036854775808.5",
                                 "1e99999999999999999999999", "10000000000000000000000.25e300"};
    const char *const small[] = {"-0", "1E+2", "-0.0", "1e-400", "9223372036854775807", "-9223372036854775808", "1e307", "0e999",
                                 "0.00000000000000000001e20", "1e0000000000000000000001"};
    char text[512];
    sl_error e;
    int64_t i = 7;
    double x = 7;
    for (size_t k = 0; k < sizeof large / sizeof *large; k++)
        for (int sign = 0; sign < 2; sign++) {
            const char *minus = sign ? "-" : "";
            snprintf(text, sizeof text, "{\"metadata\":{\"trace\":[%s%s,{\"a\":%s%s}]},\"seed\":%s%s,\"n\":1}", minus, large[k], minus,
                     large[k], minus, large[k]);
            sl_json top = parse(text, "");
            ck_assert_int_eq(sl_json_opt_int(&top, "n", 1, 1, &i, &e), SL_OK);
            ck_assert_int_eq(sl_json_opt_int(&top, "seed", INT64_MIN, INT64_MAX, &i, &e), SL_INVALID);
            ck_assert_str_eq(e.message, sign ? "seed: is too small" : "seed: is too large");
            ck_assert_str_eq(e.param, "seed");
            ck_assert_int_eq(sl_json_opt_int(&top, "seed", 0, 9, &i, &e), SL_INVALID);
            ck_assert_str_eq(e.message, sign ? "seed: is too small (must be an integer from 0 to 9)"
                                             : "seed: is too large (must be an integer from 0 to 9)");
            ck_assert_int_eq(sl_json_opt_float(&top, "seed", -1e18, 1e18, &x, &e), SL_INVALID);
            json_decref(top.v);
        }
    for (size_t k = 0; k < sizeof small / sizeof *small; k++) {
        snprintf(text, sizeof text, "{\"x\":%s}", small[k]);
        sl_json top = parse(text, "");
        ck_assert_int_eq(sl_json_opt_float(&top, "x", -1e307, 1e307, &x, &e), SL_OK);
        ck_assert(x == strtod(small[k], NULL));
        json_decref(top.v);
    }
    sl_json top = parse("{\"x\":18446744073709551615,\"y\":1e400,\"z\":1e17}", "");
    ck_assert_int_eq(sl_json_opt_float(&top, "x", 0, 1e30, &x, &e), SL_OK);
    ck_assert(x == 18446744073709551616.0);
    ck_assert_int_eq(sl_json_opt_float(&top, "y", 0, INFINITY, &x, &e), SL_INVALID);
    ck_assert_str_eq(e.message, "y: is too large");
    ck_assert_int_eq(sl_json_opt_int(&top, "z", 0, INT64_MAX, &i, &e), SL_OK);
    ck_assert_int_eq(i, 100000000000000000);
    json_decref(top.v);
    memset(text, '7', 500);
    memcpy(text, "[[", 2), memcpy(text + 498, "]]", 3);
    json_decref(parse(text, "").v);
}
END_TEST

/* Against strtod: digits, points and exponents at random, around the ends of both types. */
START_TEST(test_random_numbers) {
    srand(1);
    for (int n = 0; n < 200000; n++) {
        char text[96];
        int at = 0, digits = 1 + rand() % 24;
        text[at++] = '[';
        if (rand() % 2) text[at++] = '-';
        for (int i = 0; i < digits; i++) text[at++] = (char)('0' + (i == 0 && digits > 1 ? 1 + rand() % 9 : rand() % 10));
        if (rand() % 2) {
            text[at++] = '.';
            for (int i = rand() % 22; i >= 0; i--) text[at++] = (char)('0' + rand() % 10);
        }
        if (rand() % 2) at += sprintf(text + at, "%c%s%d", rand() % 2 ? 'e' : 'E', (const char *const[]){"", "+", "-"}[rand() % 3], rand() % 320);
        strcpy(text + at, "]");
        sl_json top = parse(text, "");
        const json_t *v = json_array_get(top.v, 0);
        double want = strtod(text + 1, NULL), have = json_number_value(v);
        if (fabs(want) >= 1e308) ck_assert_msg(fabs(have) >= 1e308 && (have < 0) == (want < 0), "%s", text);
        else ck_assert_msg(fabs(have - want) <= 1e-15 * fabs(want), "%s", text); /* equal, or an integer's 18th digit */
        if (json_is_integer(v)) ck_assert_int_eq(json_integer_value(v), strtoll(text + 1, NULL, 10));
        json_decref(top.v);
    }
}
END_TEST

/* What Python's json.loads gives for files: the last of two members, NaN and Infinity, a byte order mark. */
START_TEST(test_python) {
    const char *text = "\xEF\xBB\xBF{\"a\":1,\"a\":2,\"nan\":NaN,\"inf\":[Infinity,-Infinity],\"s\":\"NaN Infinity \\\" -Infinity\"}";
    sl_json top, v;
    sl_error e;
    int64_t i = 0;
    double x = 0;
    const char *s = NULL;
    ck_assert_int_eq(sl_json_parse_python(text, strlen(text), "config.json", &top, &e), SL_OK);
    ck_assert_int_eq(sl_json_opt_int(&top, "a", 0, 9, &i, &e), SL_OK);
    ck_assert_int_eq(i, 2);
    ck_assert_int_eq(sl_json_opt_float(&top, "nan", 0, 9, &x, &e), SL_FORMAT);
    ck_assert_str_eq(e.message, "config.json: nan: must be a number from 0 to 9");
    ck_assert(sl_json_get(&top, "inf", &v) && sl_json_size(&v) == 2);
    sl_json at;
    ck_assert(sl_json_at(&v, 1, &at));
    ck_assert_int_eq(sl_json_float(&at, -1e30, 1e30, &x, &e), SL_FORMAT);
    ck_assert_str_eq(e.message, "config.json: inf[1]: is too small");
    ck_assert_int_eq(sl_json_opt_string(&top, "s", &s, NULL, &e), SL_OK);
    ck_assert_str_eq(s, "NaN Infinity \" -Infinity");
    json_decref(top.v);
    top = parse("\xEF\xBB\xBF[1]", ""); /* as PowerShell saves a body */
    json_decref(top.v);
    const char *const bad[] = {"{\"a\":nan}", "{\"a\":NaNs}", "{\"a\":-NaN}", "{\"a\":+Infinity}", "{\"a\":Infinit}", "{NaN:1}", "NaN",
                               "[1.5Infinity]", "[1.Infinity]", "[1Infinity]", "[+Infinity]", "[1e-Infinity]", "[-1e400-1e400]"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        ck_assert_int_ne(sl_json_parse_python(bad[k], strlen(bad[k]), "config.json", &top, &e), SL_OK);
}
END_TEST

/* Halves of surrogate pairs are U+FFFD, pairs are what they are, NUL in a name is U+FFFF. */
START_TEST(test_escapes) {
    const char *const cases[][2] = {
        {"\\ud83d", "\xEF\xBF\xBD"}, {"a\\uD83Db", "a\xEF\xBF\xBD" "b"}, {"\\ude00", "\xEF\xBF\xBD"},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80"}, {"\\ude00\\ud83d", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD\xF0\x9F\x98\x80"}, {"\\ud83d\\u0041", "\xEF\xBF\xBD" "A"},
        {"\\\\ud83d", "\\ud83d"}, {"\\ud83d\\\\ude00", "\xEF\xBF\xBD\\ude00"}, {"\\ud83d\\n", "\xEF\xBF\xBD\n"},
        {"\\ud7ff\\ue000", "\xED\x9F\xBF\xEE\x80\x80"},
    };
    char text[128];
    sl_error e;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        snprintf(text, sizeof text, "{\"%s\":\"%s\"}", cases[k][0], cases[k][0]);
        sl_json top = parse(text, "");
        const char *s = NULL;
        ck_assert_int_eq(sl_json_opt_string(&top, cases[k][1], &s, NULL, &e), SL_OK);
        ck_assert_msg(s && strcmp(s, cases[k][1]) == 0, "%s", cases[k][0]);
        json_decref(top.v);
    }
    sl_json top = parse("{\"a\\u0000b\\u0000\" : {\"x\":\"\\u0000\\\\u0000\"}}", ""), v;
    const char *s = NULL;
    size_t n = 0;
    ck_assert(sl_json_get(&top, "a\xEF\xBF\xBF" "b\xEF\xBF\xBF", &v));
    ck_assert_int_eq(sl_json_opt_string(&v, "x", &s, &n, &e), SL_OK);
    ck_assert_uint_eq(n, 7);
    ck_assert_mem_eq(s, "\0\\u0000", 7);
    json_decref(top.v);
    refuse("[\"\\ud83", 7, "is not valid JSON");
    refuse("[\"\\ud83g\"]", 10, "is not valid JSON");
    refuse("[\"\\ud83d\\u\"]", 12, "is not valid JSON");
}
END_TEST

/* What jansson really takes, malloc's headers and rounding included. */
static size_t in_use, most_in_use;

static size_t block_bytes(void *p) {
    size_t n = malloc_usable_size(p) + 8;
    return n >= 128 * 1024 ? (n + 4095) / 4096 * 4096 : n;
}
static void *counted_malloc(size_t n) {
    void *p = malloc(n);
    in_use += block_bytes(p);
    if (in_use > most_in_use) most_in_use = in_use;
    return p;
}
static void counted_free(void *p) {
    if (p) in_use -= block_bytes(p);
    free(p);
}

/* A piece of JSON again and again between two ends. */
static void check_cost(const char *begin, const char *piece, const char *end, size_t times, bool valid) {
    size_t len = strlen(begin) + times * strlen(piece) + strlen(end);
    char *text = malloc(len + 32 * times + 1), *to = stpcpy(text, begin);
    bool numbered = strstr(piece, "%zu");
    for (size_t i = 0; i < times; i++) {
        if (!numbered) to = stpcpy(to, piece);
        else for (const char *c = piece; *c; c++) {
            if (strncmp(c, "%zu", 3) == 0) to += sprintf(to, "%zu", i), c += 2;
            else *to++ = *c;
        }
    }
    to = stpcpy(to, end);
    len = (size_t)(to - text);
    sl_json top;
    uint64_t cost = sl_json_cost(text, len);
    in_use = most_in_use = 0;
    sl_status s = sl_json_parse(text, len, "", &top, NULL);
    if (valid) ck_assert_int_eq(s, SL_OK);
    else ck_assert_int_eq(s, SL_INVALID);
    ck_assert_msg(cost >= most_in_use, "%s: %zu bytes, estimated %llu", piece, most_in_use, (unsigned long long)cost);
    if (valid) ck_assert_msg(cost <= 2 * most_in_use + 4096, "%s: %zu bytes, estimated %llu", piece, most_in_use, (unsigned long long)cost);
    if (valid) json_decref(top.v);
    ck_assert_uint_eq(in_use, 0);
    sl_error e;
    ck_assert_int_eq(sl_json_parse_within(text, len, "", cost - 1, &top, &e), SL_TOO_LONG);
    ck_assert_msg(strstr(e.message, "the body has too many values"), "%s", e.message);
    free(text);
}

/* Promise 4. The largest size, 29524, has tables that malloc maps, those of objects too. */
START_TEST(test_cost) {
    json_set_alloc_funcs(counted_malloc, counted_free);
    for (size_t times = 1; times < 30000; times = times * 3 + 1) {
        check_cost("[", "{},", "{}]", times, true);
        check_cost("[", "[],", "[]]", times, true);
        check_cost("[", "1,", "1]", times, true);
        check_cost("[", "1.5e3, ", "1]", times, true);
        check_cost("[", "true,", "null]", times, true);
        check_cost("[", "\"\",", "\"\"]", times, true);
        check_cost("[", "\"The quick brown fox\",", "1]", times, true);
        check_cost("[\"", "all work and no play ", "\"]", times, true);
        check_cost("{", "\"%zu\":%zu,", "\"a\":1}", times, true);
        check_cost("{", "\"name of some member %zu\" : {\"x\":[%zu, %zu, \"y\"]},\n", "\"a\":1}", times, true);
        check_cost("{\"", "a name ", "\":1}", times, true);
        check_cost("[", "aaaa", "", times, false);
        check_cost("[", "1234", "x", times, false);
        check_cost("[\"", "abcd", "", times, false);
        check_cost("[1", "", ",", times, false);
        check_cost("[\"\\ud83d\",", "18446744073709551615,", "1]", times, true);
    }
    for (size_t times = 8; times < 70000; times *= 2) check_cost("[", "1,", "1]", times, true); /* the table has just doubled */
    json_set_alloc_funcs(malloc, free);
    sl_json top;
    ck_assert_int_eq(sl_json_parse_within("[1,2]", 5, "", 4096, &top, NULL), SL_OK);
    json_decref(top.v);
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
    return RUN_TESTS("base/json", 120, test_paths, test_types, test_large_numbers, test_random_numbers, test_python,
                     test_escapes, test_cost, test_malformed, test_depth);
}
