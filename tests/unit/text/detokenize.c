#include "fixture.h"

static const char *const kinds[] = {"gpt2", "llama3", "qwen2", "olmo", "smollm", "o200k", "flags", "mixtral", "gemma",
                                    "metaspace", "metaspace_decoder"};

static bool whole_characters(const char *text, size_t len) {
    sl_buffer json = {0};
    sl_buffer_json(&json, text, len);
    bool whole = !len || memmem(json.data, json.len, "\xEF\xBF\xBD", 3) == NULL || memmem(text, len, "\xEF\xBF\xBD", 3) != NULL;
    sl_buffer_done(&json);
    return whole;
}

/* One id at a time gives what all at once gives, and never a part of a character. */
static void check_decode(const sl_tokenizer *t, const sl_ids *ids, bool skip, const char *want, size_t want_len, const char *name) {
    sl_buffer stream = {0}, whole = {0};
    sl_detokenizer d = {0};
    size_t longest = sl_tokenizer_longest(t);
    for (size_t i = 0; i <= ids->count; i++) {
        size_t before = stream.len;
        if (i < ids->count) sl_detokenize(t, &d, ids->id[i], skip, &stream);
        else sl_detokenize_end(&d, &stream);
        ck_assert_uint_le(stream.len - before, longest);
        ck_assert(d.held_len <= 3);
        ck_assert(stream.len == before || whole_characters(stream.data + before, stream.len - before));
    }
    sl_tokenizer_decode(t, ids->id, ids->count, skip, &whole);
    ck_assert_uint_eq(stream.len, whole.len);
    ck_assert(!whole.len || !memcmp(stream.data, whole.data, whole.len));
    ck_assert_msg(whole.len == want_len && (!want_len || !memcmp(whole.data, want, want_len)), "%s: have %.*s, want %s", name,
                  (int)whole.len, whole.data, want);
    sl_buffer_done(&stream);
    sl_buffer_done(&whole);
}

static void fill(sl_ids *ids, json_t *from) {
    ids->count = 0;
    ids->id = sl_realloc(ids->id, json_array_size(from) + 1, sizeof *ids->id);
    for (size_t i = 0; i < json_array_size(from); i++) ids->id[ids->count++] = (int32_t)json_integer_value(json_array_get(from, i));
}

/* Promise 2 */
START_TEST(test_reference) {
    char file[100];
    snprintf(file, sizeof file, "%s.ids.json", kinds[_i]);
    sl_tokenizer *t = open_hf(kinds[_i]);
    json_t *want = reference_json(file), *strings = reference_json("strings.json");
    json_t *markup = json_object_get(want, "markup"), *decoded = json_object_get(want, "decoded"), *streams = json_object_get(want, "streams"), *s;
    sl_ids ids = {0};
    size_t i;
    json_array_foreach(streams, i, s) {
        fill(&ids, json_array_get(s, 0));
        check_decode(t, &ids, false, json_string_value(json_array_get(s, 1)), json_string_length(json_array_get(s, 1)), kinds[_i]);
        check_decode(t, &ids, true, json_string_value(json_array_get(s, 2)), json_string_length(json_array_get(s, 2)), kinds[_i]);
    }
    for (i = 0; i < json_array_size(strings); i++) {
        size_t len;
        char number[24], *text = string_at(strings, i, &len);
        snprintf(number, sizeof number, "%zu", i);
        json_t *other = json_object_get(decoded, number);
        fill(&ids, json_array_get(markup, i));
        check_decode(t, &ids, false, other ? json_string_value(other) : text, other ? json_string_length(other) : len, kinds[_i]);
        free(text);
    }
    sl_free(ids.id);
    json_decref(want);
    json_decref(strings);
    sl_tokenizer_free(t);
}
END_TEST

static int byte_token(const sl_tokenizer *t, uint8_t byte) {
    int found = -1;
    for (int i = 0; i < sl_tokenizer_count(t) && found < 0; i++) {
        sl_buffer b = {0};
        sl_tokenizer_piece(t, i, &b);
        if (b.len == 1 && (uint8_t)b.data[0] == byte) found = i;
        sl_buffer_done(&b);
    }
    ck_assert_int_ge(found, 0);
    return found;
}

/* Ill-formed bytes, token by token: Unicode's table of maximal parts for byte-level, a U+FFFD a byte for byte tokens. */
START_TEST(test_ill_formed) {
    static const struct { const char *bytes, *byte_level, *byte_tokens; } cases[] = {
        {"\xE4\xBD\xA0", "你", "你"},
        {"\xF0\x9F\x98", "\uFFFD", "\uFFFD\uFFFD\uFFFD"},
        {"\xF0\x9F\x98x", "\uFFFDx", "\uFFFD\uFFFD\uFFFDx"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA",
         "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFDA", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
        {"\xE4\xE4\xBD\xA0", "\uFFFD你", "\uFFFD你"},
    };
    for (int kind = 0; kind < 2; kind++) {
        sl_tokenizer *t = open_hf(kind ? "mixtral" : "gpt2");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const char *want = kind ? cases[i].byte_tokens : cases[i].byte_level;
            sl_ids ids = {0};
            ids.id = sl_realloc(NULL, strlen(cases[i].bytes), sizeof *ids.id);
            for (const char *p = cases[i].bytes; *p; p++) ids.id[ids.count++] = byte_token(t, (uint8_t)*p);
            check_decode(t, &ids, true, want, strlen(want), "ill-formed");
            sl_free(ids.id);
        }
        sl_tokenizer_free(t);
    }
}
END_TEST

START_TEST(test_start) {
    sl_tokenizer *t = open_hf("mixtral");
    sl_ids ids = {0};
    sl_buffer out = {0};
    ck_assert_int_eq(sl_tokenizer_encode(t, "the quick", 9, SL_CONTENT, false, 99, &ids, NULL), SL_OK);
    sl_detokenizer d = {0}, after_prompt = {.started = true};
    sl_detokenize(t, &d, ids.id[0], true, &out);
    ck_assert(out.len > 0 && out.data[0] == 't');
    sl_buffer_clear(&out);
    sl_detokenize(t, &after_prompt, ids.id[0], true, &out);
    ck_assert(out.len > 0 && out.data[0] == ' ');
    sl_buffer_clear(&out);
    sl_detokenize(t, &d, -1, true, &out);
    sl_detokenize(t, &d, sl_tokenizer_count(t), true, &out);
    sl_tokenizer_piece(t, 1 << 30, &out);
    ck_assert_uint_eq(out.len, 0);
    sl_buffer_done(&out);
    sl_free(ids.id);
    sl_tokenizer_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("detokenize");
    TCase *c = tcase_create("detokenize");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_reference, 0, sizeof kinds / sizeof *kinds);
    tcase_add_test(c, test_ill_formed);
    tcase_add_test(c, test_start);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
