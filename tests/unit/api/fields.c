#include "api/fields.h"

#include <stdio.h>
#include <string.h>

#include "../run.h"

static sl_arena *arena;
static sl_json doc;
static sl__fields f;
static sl_error e;

static void setup(void) { arena = sl_arena_new(); }

static void teardown(void) {
    if (doc.v) json_decref(doc.v);
    doc.v = NULL;
    arena = sl_arena_free(arena);
}

static sl_status read_text(const char *text, bool strict) {
    if (doc.v) json_decref(doc.v);
    doc.v = NULL;
    ck_assert_msg(sl_json_parse(text, strlen(text), "", &doc, &e) == SL_OK, "%s", e.message);
    return sl__fields_read(&doc, SL__COMPLETIONS, 1000, strict, arena, &f, &e);
}

START_TEST(defaults) {
    setup();
    ck_assert_int_eq(read_text("{\"prompt\": \"x\", \"max_tokens\": null, \"temperature\": null}", true), SL_OK);
    ck_assert_int_eq(f.max_tokens, -1);
    ck_assert_double_eq(f.temperature, 1);
    ck_assert_double_eq(f.top_p, 1);
    ck_assert_int_eq(f.n, 1);
    ck_assert_int_eq(f.logprobs, -1);
    ck_assert(f.skip_special && f.add_special && !f.has_seed && !f.stream);
    teardown();
}
END_TEST

START_TEST(values) {
    setup();
    ck_assert_int_eq(read_text("{\"prompt\": \"x\", \"seed\": -9223372036854775808, \"max_tokens\": 5.0, \"top_k\": -1, \"stop\": "
                               "[\"a\", \"\", \"bc\"], \"stop_token_ids\": [0, 999], \"logit_bias\": {\"7\": -100, \"999\": 1.5}, "
                               "\"stream\": true, \"stream_options\": {\"include_usage\": true}, \"best_of\": 1}",
                               true),
                     SL_OK);
    ck_assert(f.has_seed && f.seed == INT64_MIN);
    ck_assert_int_eq(f.max_tokens, 5);
    ck_assert_int_eq(f.top_k, 0);
    ck_assert_int_eq(f.stops, 2);
    ck_assert_str_eq(f.stop[1], "bc");
    ck_assert_int_eq(f.stop_tokens, 2);
    ck_assert_int_eq(f.bias_count, 2);
    ck_assert(f.include_usage && !f.continuous_usage);
    teardown();
}
END_TEST

/* As llama-server and vLLM have it: a seed of -1 is a random one, so many tokens are as many as there is room for. */
START_TEST(minus_one) {
    setup();
    ck_assert_int_eq(read_text("{\"seed\": -1, \"max_tokens\": -1}", true), SL_OK);
    ck_assert(!f.has_seed && f.unlimited && f.max_tokens == -1);
    ck_assert_int_eq(read_text("{\"seed\": -2, \"max_tokens\": null}", true), SL_OK);
    ck_assert(f.has_seed && !f.unlimited && f.max_tokens == -1);
    ck_assert_int_eq(read_text("{\"max_tokens\": -1, \"max_completion_tokens\": 3}", true), SL_OK);
    ck_assert_int_eq(f.max_tokens, 3);
    teardown();
}
END_TEST

START_TEST(a_salt_is_a_text_and_not_empty) {
    setup();
    ck_assert_int_eq(read_text("{\"prompt\": \"x\", \"cache_salt\": null}", true), SL_OK);
    ck_assert_ptr_null(f.cache_salt);
    ck_assert_int_eq(read_text("{\"prompt\": \"x\", \"cache_salt\": \"a\\u0000b\"}", true), SL_OK);
    ck_assert(f.cache_salt_len == 3 && !memcmp(f.cache_salt, "a\0b", 3));
    static const char *const bad[] = {"\"\"", "1", "[]", "true", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"prompt\": \"x\", \"cache_salt\": %s}", bad[i]);
        ck_assert_int_eq(read_text(text, true), SL_INVALID);
        ck_assert_str_eq(e.param, "cache_salt");
    }
    teardown();
}
END_TEST

static const struct {
    const char *text, *param;
} bad[] = {
    {"{\"temperature\": 2.1}", "temperature"},
    {"{\"temperature\": \"1\"}", "temperature"},
    {"{\"temperature\": false}", "temperature"},
    {"{\"max_tokens\": 1.5}", "max_tokens"},
    {"{\"max_tokens\": 2147483648}", "max_tokens"},
    {"{\"max_tokens\": -2}", "max_tokens"},
    {"{\"n\": 257}", "n"},
    {"{\"stop\": [1]}", "stop"},
    {"{\"stop\": 1}", "stop"},
    {"{\"stop_token_ids\": [1000]}", "stop_token_ids"},
    {"{\"logit_bias\": [1]}", "logit_bias"},
    {"{\"logit_bias\": {\"-1\": 1}}", "logit_bias"},
    {"{\"logit_bias\": {\"1000\": 1}}", "logit_bias"},
    {"{\"logit_bias\": {\" 1\": 1}}", "logit_bias"},
    {"{\"best_of\": 2}", "best_of"},
    {"{\"stream_options\": {}}", "stream_options"},
    {"{\"suffix\": \"x\"}", "suffix"},
    {"{\"response_format\": {\"type\": \"json_object\", \"json_schema\": null}}", "response_format"},
    {"{\"response_format\": {\"type\": \"text\", \"json_schema\": {}}}", "response_format"},
    {"{\"response_format\": \"text\"}", "response_format"},
    {"{\"tools\": [1]}", "tools"},
    {"{\"mirostat\": 1}", "mirostat"},
    {"{\"what\": 1}", "what"},
};

START_TEST(refusals) {
    setup();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(read_text(bad[i].text, true), SL_INVALID);
        ck_assert_str_eq(e.param, bad[i].param);
        ck_assert_msg(strstr(e.message, bad[i].param), "%s", e.message);
    }
    teardown();
}
END_TEST

START_TEST(neutral_values_are_accepted) {
    setup();
    ck_assert_int_eq(read_text("{\"suffix\": \"\", \"tools\": [], \"response_format\": {\"type\": \"text\"}, \"length_penalty\": 1.0, "
                               "\"mirostat\": 0, \"guided_json\": null, \"user\": 5, \"use_beam_search\": false}",
                               true),
                     SL_OK);
    ck_assert_int_eq(read_text("{\"response_format\": {\"json_schema\": null, \"type\": \"text\", \"schema\": null}, "
                               "\"structured_outputs\": {\"json\": null, \"regex\": null}, \"n_keep\": -1, \"top_n_sigma\": 0, "
                               "\"t_max_predict_ms\": -1}",
                               true),
                     SL_OK);
    ck_assert_int_eq(read_text("{\"response_format\": {\"type\": null}}", true), SL_OK);
    teardown();
}
END_TEST

START_TEST(unknown_names_are_listed) {
    setup();
    ck_assert_int_eq(read_text("{\"b_new\": 1, \"bad\\nname\": 2, \"a-new\": 3}", false), SL_OK);
    ck_assert(strstr(f.ignored, "b_new") && strstr(f.ignored, "a-new") && !strchr(f.ignored, '\n'));
    teardown();
}
END_TEST

int main(void) { return RUN_TESTS("api/fields", 30, defaults, values, minus_one, a_salt_is_a_text_and_not_empty, refusals,
                                    neutral_values_are_accepted, unknown_names_are_listed); }
