#include "fixture.h"

/* Promise 2, Promise 6: the arrays of a GGUF give the ids of the tokenizer.json that they were made from. */
START_TEST(test_ids) {
    static const struct { const char *name, *pre; } kinds[] = {
        {"gpt2", "gpt-2"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}, {"olmo", "olmo"}, {"smollm", "smollm"}, {"o200k", "gpt-4o"},
    };
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    arrays a = arrays_of_hf(kinds[_i].name);
    sl_gguf_vocab v = gguf_of(&a, "gpt2", kinds[_i].pre);
    ck_assert_msg(sl_tokenizer_from_gguf(&v, &t, &e) == SL_OK, "%s", e.message);
    same_as_reference(t, kinds[_i].name);
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

/* SentencePiece itself is the reference of scores. */
START_TEST(test_scores) {
    json_t *strings = reference_json("strings.json"), *token;
    arrays a = {.file = reference_json("sentencepiece.json")};
    json_t *tokens = json_object_get(a.file, "tokens"), *ids = json_object_get(a.file, "ids"), *decoded = json_object_get(a.file, "decoded");
    size_t i;
    a.count = (int)json_array_size(tokens);
    a.tokens = calloc((size_t)a.count, sizeof *a.tokens);
    json_array_foreach(tokens, i, token) {
        a.tokens[i].text = json_string_value(json_array_get(token, 0));
        a.tokens[i].len = (uint32_t)json_string_length(json_array_get(token, 0));
        a.tokens[i].score = (float)json_number_value(json_array_get(token, 1));
        a.tokens[i].type = (int)json_integer_value(json_array_get(token, 2));
    }
    sl_gguf_vocab v = gguf_of(&a, "llama", "default");
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    sl_ids have = {0};
    sl_buffer text = {0};
    ck_assert_msg(sl_tokenizer_from_gguf(&v, &t, &e) == SL_OK, "%s", e.message);
    for (i = 0; i < json_array_size(strings); i++) {
        size_t len;
        json_t *want = json_array_get(ids, i);
        if (json_is_null(want)) continue;
        char *bytes = string_at(strings, i, &len);
        have.count = 0;
        text.len = 0;
        ck_assert_int_eq(sl_tokenizer_encode(t, bytes, len, SL_CONTENT, false, SIZE_MAX, &have, &e), SL_OK);
        same_ids(&have, want, "sentencepiece", i, "content");
        sl_tokenizer_decode(t, have.id, have.count, true, &text);
        ck_assert_uint_eq(text.len, json_string_length(json_array_get(decoded, i)));
        ck_assert(!text.len || !memcmp(text.data, json_string_value(json_array_get(decoded, i)), text.len));
        free(bytes);
    }
    ck_assert_int_eq(sl_tokenizer_bos(t), 1);
    ck_assert(sl_tokenizer_adds_bos(t) && sl_tokenizer_ends(t, 2));
    sl_free(have.id);
    sl_buffer_done(&text);
    sl_tokenizer_free(t);
    json_decref(strings);
    arrays_free(&a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf");
    TCase *c = tcase_create("gguf");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_ids, 0, 6);
    tcase_add_test(c, test_scores);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
