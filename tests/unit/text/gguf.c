#include "fixture.h"

/* Promise 2 */ /* Promise 6 */
/* The arrays of a GGUF give the ids of the tokenizer.json that they were made from. */
START_TEST(test_ids) {
    static const struct { const char *name, *pre, *model; } kinds[] = {
        {"gpt2", "gpt-2", "gpt2"}, {"llama3", "llama-bpe", "gpt2"}, {"qwen2", "qwen2", "gpt2"}, {"olmo", "olmo", "gpt2"},
        {"smollm", "smollm", "gpt2"}, {"o200k", "gpt-4o", "gpt2"}, {"gemma", NULL, "gemma4"}, {"gemma", "gemma4", "gpt2"},
        {"gemma", "sarvam-moe", "gpt2"}, {"gemma", "gemma4", "llama"},
    };
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    arrays a = arrays_of_hf(kinds[_i].name);
    for (int i = 0; i < a.count; i++) a.tokens[i].score = (float)i; /* as Ollama writes them; where merges are listed, nothing reads them */
    sl_vocab_source v = gguf_of(&a, kinds[_i].model, kinds[_i].pre);
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    same_as_reference(t, kinds[_i].name);
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

/* How text is cut is a guess where the file does not say it: llama.cpp warns then, too. */
START_TEST(test_unnamed_words) {
    static const char *const names[] = {NULL, "", "default", "gpt-2"};
    arrays a = arrays_of_hf("gpt2");
    for (int i = 0; i < 4; i++) {
        sl_tokenizer *t = NULL;
        sl_error e = {0};
        sl_vocab_source v = gguf_of(&a, "gpt2", names[i]);
        ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
        ck_assert_int_eq(sl_tokenizer_notes(t)->count, i < 3);
        if (i < 3) ck_assert_ptr_nonnull(strstr(sl_tokenizer_notes(t)->text[0], i < 2 ? "pre is missing" : "pre is \"default\""));
        sl_tokenizer_free(t);
    }
    arrays_free(&a);
}
END_TEST

/* What llama.cpp does where tokenizer.ggml.add_bos_token is absent: Gemma 4 always begins with one, Sarvam's of the same shape does not. */
START_TEST(test_bos_by_name) {
    static const struct { const char *pre, *model; bool adds; } kinds[] = {{NULL, "gemma4", true}, {"gemma4", "gpt2", true}, {"sarvam-moe", "gpt2", false}};
    arrays a = arrays_of_hf("gemma");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int key = -1; key < 2; key++) {
            sl_tokenizer *t = NULL;
            sl_error e = {0};
            sl_vocab_source v = gguf_of(&a, kinds[i].model, kinds[i].pre);
            v.bos = 2;
            v.add_bos = key;
            ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
            ck_assert_int_eq(sl_tokenizer_adds_bos(t), key < 0 ? kinds[i].adds : key);
            sl_tokenizer_free(t);
        }
    arrays_free(&a);
}
END_TEST

/* Promise 2 */
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
    sl_vocab_source v = gguf_of(&a, "llama", "default");
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    sl_ids have = {0};
    sl_buffer text = {0};
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
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

/* A tiny vocabulary of literal tokens. */
typedef struct literal {
    const char *text;
    float score;
    int type;
} literal;

static arrays literals(const literal *l, int count, const char *merge) {
    arrays a = {.count = count, .tokens = calloc((size_t)count, sizeof *a.tokens)};
    for (int i = 0; i < count; i++) {
        a.tokens[i].text = l[i].text;
        a.tokens[i].len = (uint32_t)strlen(l[i].text);
        a.tokens[i].score = l[i].score;
        a.tokens[i].type = l[i].type;
    }
    if (merge) {
        a.merges = calloc(1, sizeof *a.merges);
        a.merges[0] = (sl_vocab_merge){strdup(merge), (uint32_t)strlen(merge)};
        a.merge_count = 1;
    }
    return a;
}

static void refuse(const literal *l, int count, const char *merge, const char *model, const char *pre, sl_status want, const char *part) {
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    arrays a = literals(l, count, merge);
    sl_vocab_source v = gguf_of(&a, model, pre);
    sl_status s = sl_tokenizer_open(&v, &t, &e);
    ck_assert_msg(s == want && strstr(e.message, part), "%d %s", s, e.message);
    sl_tokenizer_free(t);
    arrays_free(&a);
}

START_TEST(test_refused) {
    static const literal plain[] = {{"a", 0, 1}, {"b", 0, 1}, {"ab", 0, 1}}, control[] = {{"a", 0, 1}, {"b", 0, 1}, {"ab", 0, 3}};
    refuse(plain, 3, "a b", "gpt2", "gpt-2", SL_OK, "");
    refuse(plain, 3, "a b", "gpt2", "", SL_OK, "");
    refuse(plain, 3, "a b", "gpt2", "no-such", SL_UNSUPPORTED, "\"no-such\" is not supported; these are: llama-bpe");
    refuse(plain, 3, "a b", "bert", "", SL_UNSUPPORTED, "\"bert\"");
    refuse(plain, 0, NULL, "gpt2", "", SL_FORMAT, "0 tokens");
    refuse(plain, 3, "ab", "gpt2", "", SL_FORMAT, "merge 0 has no space");
    refuse(plain, 3, " b", "gpt2", "", SL_FORMAT, "merge 0 has no space");
    refuse(control, 3, "a b", "gpt2", "", SL_OK, "");
    /* Without merges a text would become single bytes, without a word. */
    static const literal bytes_only[] = {{"a", 0, 1}, {"b", 0, 1}, {"café", 0, 4}, {"<|im_end|>", 0, 3}};
    refuse(plain, 3, NULL, "gpt2", "", SL_FORMAT, "tokenizer.ggml.merges is missing");
    refuse(plain, 3, NULL, "gpt2", "llama-bpe", SL_FORMAT, "tokenizer.ggml.merges is missing");
    refuse(plain, 3, "a c", "gpt2", "", SL_FORMAT, "none of the 1 merges");
    refuse(plain, 3, "['a', 'b']", "gpt2", "", SL_FORMAT, "none of the 1 merges"); /* a list's spelling, as one converter wrote them */
    refuse(plain, 3, "b a", "gpt2", "", SL_OK, ""); /* only its result is no token: made for measuring, with a vocabulary of bytes */
    refuse(bytes_only, 4, NULL, "gpt2", "", SL_OK, "");
    /* llama.cpp writes before its table for the first of these. */
    static const char *const names[] = {"<0x-1>", "<0xGG>", "<0x0A", "0x0A>", "", "<0x+A>", "<0x 1>", "<0x0AA>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const literal bytes[] = {{"<unk>", 0, 2}, {names[i], 0, 6}};
        refuse(bytes, 2, NULL, "llama", "", SL_FORMAT, "token 1 is a byte");
    }
    const literal nan[] = {{"<unk>", 0, 2}, {"a", __builtin_nanf(""), 1}};
    refuse(nan, 2, NULL, "llama", "", SL_FORMAT, "not a number");
}
END_TEST

/* Promise 6 */
START_TEST(test_merges_never_make_control) {
    static const literal bpe[] = {{"a", 0, 1}, {"b", 0, 1}, {"ab", 0, 3}};
    static const literal spm[] = {{"<unk>", 0, 2}, {"a", 0, 1}, {"b", 0, 1}, {"ab", 0, 3}, {"▁", 0, 1}};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    for (int kind = 0; kind < 2; kind++) {
        arrays a = kind ? literals(spm, 5, NULL) : literals(bpe, 3, "a b");
        sl_vocab_source v = gguf_of(&a, kind ? "llama" : "gpt2", "");
        sl_ids ids = {0};
        v.add_space_prefix = 0;
        ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
        ck_assert_int_eq(sl_tokenizer_encode(t, "ab", 2, SL_CONTENT, false, 9, &ids, &e), SL_OK);
        ck_assert(ids.count == 2 && ids.id[0] == kind && ids.id[1] == kind + 1);
        ids.count = 0;
        ck_assert_int_eq(sl_tokenizer_encode(t, "ab", 2, SL_MARKUP, false, 9, &ids, &e), SL_OK);
        ck_assert(ids.count == 1 && ids.id[0] == kind + 2);
        sl_free(ids.id);
        sl_tokenizer_free(t);
        arrays_free(&a);
    }
}
END_TEST

START_TEST(test_ends) {
    static const literal harmony[] = {{"a", 0, 1}, {"<|end|>", 0, 3}, {"<|return|>", 0, 3}, {"<|call|>", 0, 3}, {"<|im_start|>", 0, 1}};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    arrays a = literals(harmony, 5, NULL);
    sl_vocab_source v = gguf_of(&a, "gpt2", "gpt-4o");
    v.eos = 2;
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_tokenizer_ends(t, 2) && sl_tokenizer_ends(t, 3) && !sl_tokenizer_ends(t, 1));
    ck_assert(!sl_tokenizer_ends(t, 4) && !sl_tokenizer_ends(t, -1) && !sl_tokenizer_ends(t, 5));
    sl_tokenizer_free(t);
    v.eot = 1; /* llama.cpp does not let it end an answer either */
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_tokenizer_ends(t, 2) && sl_tokenizer_ends(t, 3) && !sl_tokenizer_ends(t, 1));
    sl_tokenizer_free(t);
    static const int32_t listed[] = {1, 4};
    v.eot = -1, v.ends = listed, v.end_count = 2; /* nor does a list of more */
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_tokenizer_ends(t, 2) && sl_tokenizer_ends(t, 3) && !sl_tokenizer_ends(t, 1) && sl_tokenizer_ends(t, 4));
    sl_tokenizer_free(t);
    v.eot = 1, v.end_count = 0;
    v.count = 2; /* without the others it does end a turn */
    v.eos = 99;
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_tokenizer_ends(t, 1) && sl_tokenizer_eos(t) == -1);
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

/* Tokens that have to be control tokens, by their text, whatever their type says: llama.cpp's list, the shape <|…|>, and
 * the ids that the file names. */
START_TEST(test_known_by_text) {
    static const struct { const char *text; bool ends; } known[] = {
        {"<|im_end|>", true}, {"<|eot_id|>", true}, {"<end_of_turn>", true}, {"<|endoftext|>", true}, {"</s>", true}, {"[EOT]", true},
        {"<｜end▁of▁sentence｜>", true}, {"<|fim_pad|>", true}, {"<reponame>", true}, {"<start_of_turn>", false},
        {"<|fim_prefix|>", false}, {"<fim-suffix>", false}, {"<MID>", false}, {"<|im_start|>", false},
        {"<|start_header_id|>", false}, {"<｜User｜>", false},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (int type = 0; type <= 5; type++)
            for (int spm = 0; spm < 2; spm++) {
                if (type == 3 && !known[i].ends) continue; /* nothing new */
                if ((type == 4 || type == 5) && i >= 13) continue; /* the shape alone does not overrule what a file says on purpose */
                const literal l[] = {{"<unk>", 0, 2}, {"a", 0, type == 0 ? 0 : 1}, {known[i].text, 0, type}};
                arrays a = literals(l, 3, NULL);
                sl_vocab_source v = gguf_of(&a, spm ? "llama" : "gpt2", spm ? "" : "gpt-2");
                sl_tokenizer *t = NULL;
                sl_error e = {0};
                sl_ids ids = {0};
                char text[80];
                v.add_space_prefix = v.add_bos = 0;
                v.eos = 1;
                ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
                bool unknown = type == 2;
                ck_assert_msg(sl_tokenizer_special(t, 2), "%s of type %d", known[i].text, type);
                ck_assert_msg(sl_tokenizer_ends(t, 2) == known[i].ends, "%s of type %d", known[i].text, type);
                ck_assert_int_eq(sl_tokenizer_special_id(t, known[i].text, strlen(known[i].text)), 2);
                ck_assert_int_eq(sl_tokenizer_notes(t)->count, type != 3 && !unknown);
                snprintf(text, sizeof text, "a%sa", known[i].text);
                ck_assert_int_eq(sl_tokenizer_encode(t, text, strlen(text), SL_MARKUP, false, 99, &ids, &e), SL_OK);
                ck_assert(ids.count == 3 && ids.id[0] == 1 && ids.id[1] == 2 && ids.id[2] == 1);
                ids.count = 0;
                ck_assert_int_eq(sl_tokenizer_encode(t, text, strlen(text), SL_CONTENT, false, 99, &ids, &e), SL_OK);
                for (size_t k = 0; k < ids.count; k++) ck_assert_int_ne(ids.id[k], 2);
                sl_free(ids.id);
                sl_tokenizer_free(t);
                arrays_free(&a);
            }
}
END_TEST

/* What looks like control and is not. */
START_TEST(test_not_known) {
    static const literal l[] = {
        {"<unk>", 0, 2}, {"a", 0, 1}, {"<|", 0, 1}, {"<||>", 0, 1}, {"<|a b|>", 0, 1}, {"<think>", 0, 4}, {"<|box_start|>", 0, 4}, {"[x]", 0, 1},
        {"<p>", 0, 1}, {"</s>", 0, 1}, {"<|tool_response>", 0, 3}, {"<|end|>", 0, 1}, {"<|return|>", 0, 1}, {"<|call|>", 0, 1},
    };
    static const struct { bool special, ends; } want[] = {
        {true, false}, {false, false}, {false, false}, {false, false}, {false, false}, {false, false}, {false, false}, {false, false},
        {false, false}, {false, false}, {true, true}, {true, false}, {true, true}, {true, true},
    };
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    arrays a = literals(l, 14, NULL);
    sl_vocab_source v = gguf_of(&a, "llama", "");
    v.eos = v.bos = 12;
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    for (int i = 0; i < 14; i++) {
        ck_assert_msg(sl_tokenizer_special(t, i) == want[i].special, "%s", l[i].text);
        ck_assert_msg(sl_tokenizer_ends(t, i) == want[i].ends, "%s", l[i].text);
    }
    sl_tokenizer_free(t);
    v.eos = v.pad = 7; /* now the file says what [x] is; an id alone does not make a word a control token */
    v.bos = 8;
    v.eot = 1;
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_tokenizer_special(t, 7) && sl_tokenizer_ends(t, 7) && sl_tokenizer_special(t, 8) && !sl_tokenizer_ends(t, 8));
    ck_assert(!sl_tokenizer_special(t, 1) && sl_tokenizer_ends(t, 1));
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

/* SentencePiece's bytes that are not typed as bytes: no text is lost. */
START_TEST(test_untyped_bytes) {
    sl_error e = {0};
    for (int type = 0; type <= 6; type++) {
        const literal l[] = {{"<unk>", 0, 2}, {"<s>", 0, type == 0 ? 0 : 3}, {"</s>", 0, type == 0 ? 0 : 3}, {"<0x0A>", 0, type},
                             {"<0xC3>", 0, type}, {"<0xA9>", 0, type}, {"a", 0, 1}};
        sl_tokenizer *t = NULL;
        sl_ids ids = {0};
        sl_buffer text = {0};
        arrays a = literals(l, 7, NULL);
        sl_vocab_source v = gguf_of(&a, "llama", "");
        v.add_space_prefix = 0;
        ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
        ck_assert_int_eq(sl_tokenizer_encode(t, "a\néa", 5, SL_MARKUP, true, 99, &ids, &e), SL_OK);
        static const int32_t want[] = {1, 6, 3, 4, 5, 6};
        ck_assert(ids.count == 6 && !memcmp(ids.id, want, sizeof want));
        sl_tokenizer_decode(t, ids.id, ids.count, true, &text);
        ck_assert_str_eq(sl_buffer_text(&text), "a\néa");
        ck_assert(!sl_tokenizer_special(t, 3));
        ck_assert_int_eq(sl_tokenizer_notes(t)->count, type == 6 ? 0 : type == 0 ? 2 : 1);
        sl_buffer_done(&text);
        sl_free(ids.id);
        sl_tokenizer_free(t);
        arrays_free(&a);
    }
    /* Where one token has the type, another of that name is only text. */
    static const literal both[] = {{"<unk>", 0, 2}, {"<0x0A>", 0, 6}, {"<0x0A>", 0, 1}, {"<0x0b>", 0, 1}};
    arrays a = literals(both, 4, NULL);
    sl_vocab_source v = gguf_of(&a, "llama", "");
    sl_tokenizer *t = NULL;
    sl_buffer text = {0};
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    for (int i = 1; i < 4; i++) sl_tokenizer_piece(t, i, &text);
    ck_assert_str_eq(sl_buffer_text(&text), "\n<0x0A><0x0b>");
    sl_buffer_done(&text);
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

/* Added tokens of a byte-level vocabulary are stored as they are, the others in GPT-2's alphabet. */
START_TEST(test_added_as_stored) {
    static const literal l[] = {{"a", 0, 1}, {"café", 0, 4}, {"xĠy", 0, 3}, {"cafÃ©", 0, 1}, {"☃é", 0, 4}, {"b", 0, 1}, {"ab", 0, 4}};
    static const char *const want[] = {"a", "café", "xĠy", "café", "☃é", "b", "ab"};
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    sl_ids ids = {0};
    sl_buffer text = {0};
    arrays a = literals(l, 7, "a b");
    sl_vocab_source v = gguf_of(&a, "gpt2", "gpt-2");
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    for (int i = 0; i < 7; i++) {
        sl_buffer_clear(&text);
        sl_tokenizer_piece(t, i, &text);
        ck_assert_str_eq(sl_buffer_text(&text), want[i]);
    }
    ck_assert_int_eq(sl_tokenizer_encode(t, "acaféxĠy☃é", 15, SL_MARKUP, false, 99, &ids, &e), SL_OK);
    static const int32_t tokens[] = {0, 1, 2, 4};
    ck_assert(ids.count == 4 && !memcmp(ids.id, tokens, sizeof tokens));
    sl_buffer_clear(&text);
    sl_tokenizer_decode(t, ids.id, ids.count, false, &text);
    ck_assert_str_eq(sl_buffer_text(&text), "acaféxĠy☃é");
    sl_buffer_done(&text);
    sl_free(ids.id);
    sl_tokenizer_free(t);
    arrays_free(&a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf");
    TCase *c = tcase_create("gguf");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_ids, 0, 9);
    tcase_add_test(c, test_bos_by_name);
    tcase_add_test(c, test_unnamed_words);
    tcase_add_test(c, test_scores);
    tcase_add_test(c, test_refused);
    tcase_add_test(c, test_merges_never_make_control);
    tcase_add_test(c, test_ends);
    tcase_add_test(c, test_known_by_text);
    tcase_add_test(c, test_not_known);
    tcase_add_test(c, test_untyped_bytes);
    tcase_add_test(c, test_added_as_stored);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
