/* A folder's vocabulary in GGUF's form gives the reference's ids, as the folder does. */
#include "fixture.h"

#include "base/arena.h"

typedef struct folder {
    char *text; /* tokenizer.json */
    sl_vocab_source v;
    sl_tokenizer *t;
    sl_arena *arena;
    sl_notes notes;
} folder;

static folder open_text(char *text, size_t len) {
    sl_error e = {0};
    folder f = {.text = text, .v = {.tokenizer_json = text, .tokenizer_json_len = len, .origin = "dir"}, .arena = sl_arena_new()};
    ck_assert_msg(sl_tokenizer_open(&f.v, &f.t, &e) == SL_OK, "%s", e.message);
    return f;
}

static void done(folder *f) {
    sl_tokenizer_free(f->t);
    sl_arena_free(f->arena);
    free(f->text);
}

static const struct {
    const char *kind, *pre;
} byte_level[] = {{"gpt2", "gpt-2"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}, {"olmo", "olmo"}, {"smollm", "refact"}, {"o200k", "gpt-4o"}};

START_TEST(byte_level_vocabularies) {
    size_t len;
    char file[100];
    sl_error e = {0};
    sl_vocab_source made;
    sl_tokenizer *t = NULL;
    snprintf(file, sizeof file, "%s.json", byte_level[_i].kind);
    char *text = read_reference(file, &len);
    folder f = open_text(text, len);
    ck_assert_msg(sl_tokenizer_to_gguf(f.t, &f.v, f.arena, &made, &f.notes, &e) == SL_OK, "%s", e.message);
    ck_assert_str_eq(made.model, "gpt2");
    ck_assert_str_eq(made.pre, byte_level[_i].pre);
    ck_assert_msg(sl_tokenizer_open(&made, &t, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl_tokenizer_prefix(t), sl_tokenizer_prefix(f.t));
    same_as_reference(t, byte_level[_i].kind);
    sl_tokenizer_free(t);
    done(&f);
}
END_TEST

/* tokenizer.json as transformers makes it of a SentencePiece model: of each token, the best score first, every pair of tokens
 * that make it. */
static json_t *merges_of(json_t *tokens, json_t *vocab) {
    json_t *merges = json_array(), *token;
    size_t i;
    json_array_foreach(tokens, i, token) { /* their order is that of the scores */
        const char *text = json_string_value(json_array_get(token, 0));
        if (json_integer_value(json_array_get(token, 2)) != SL_TOKEN_NORMAL) continue;
        for (size_t k = 1; k < strlen(text); k++) {
            char left[100];
            if (((unsigned char)text[k] & 0xC0) == 0x80) continue;
            snprintf(left, sizeof left, "%.*s", (int)k, text);
            if (json_object_get(vocab, left) && json_object_get(vocab, text + k)) json_array_append_new(merges, json_pack("[ss]", left, text + k));
        }
    }
    return merges;
}

static char *sentencepiece_json(json_t *tokens) {
    json_t *vocab = json_object(), *added = json_array(), *token;
    size_t i;
    json_array_foreach(tokens, i, token) {
        const char *text = json_string_value(json_array_get(token, 0));
        int type = (int)json_integer_value(json_array_get(token, 2));
        json_object_set_new(vocab, text, json_integer((json_int_t)i));
        if (type >= SL_TOKEN_UNKNOWN && type <= SL_TOKEN_USER)
            json_array_append_new(added, json_pack("{s:i,s:s,s:b,s:b}", "id", (int)i, "content", text, "special",
                                                   type != SL_TOKEN_USER, "normalized", 0));
    }
    json_t *merges = merges_of(tokens, vocab);
    json_t *file = json_pack("{s:o,s:{s:s,s:[{s:s,s:s},{s:s,s:{s:s},s:s}]},s:n,s:n,s:{s:s,s:[{s:s,s:{s:s},s:s},{s:s},{s:s},{s:s,s:s,s:i,s:i}]},"
                             "s:{s:s,s:s,s:b,s:b,s:o,s:o}}",
                             "added_tokens", added, "normalizer", "type", "Sequence", "normalizers", "type", "Prepend", "prepend",
                             "\xE2\x96\x81", "type",
                             "Replace", "pattern", "String", " ", "content", "\xE2\x96\x81", "pre_tokenizer", "post_processor", "decoder", "type",
                             "Sequence", "decoders", "type", "Replace", "pattern", "String", "\xE2\x96\x81", "content", " ", "type", "ByteFallback",
                             "type", "Fuse", "type", "Strip", "content", " ", "start", 1, "stop", 0, "model", "type", "BPE", "unk_token", "<unk>",
                             "fuse_unk", 1, "byte_fallback", 1, "vocab", vocab, "merges", merges);
    char *text = json_dumps(file, JSON_ENSURE_ASCII);
    ck_assert(text != NULL);
    json_decref(file);
    return text;
}

START_TEST(sentencepiece_vocabulary) {
    json_t *reference = reference_json("sentencepiece.json"), *tokens = json_object_get(reference, "tokens"),
                        *strings = reference_json("strings.json");
    char *text = sentencepiece_json(tokens);
    folder f = open_text(text, strlen(text));
    sl_vocab_source made;
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    sl_ids ids = {0};
    ck_assert_msg(sl_tokenizer_to_gguf(f.t, &f.v, f.arena, &made, &f.notes, &e) == SL_OK, "%s", e.message);
    ck_assert_str_eq(made.model, "llama");
    ck_assert_int_eq(made.add_space_prefix, 1);
    for (int i = 0; i < made.count; i++) {
        json_t *token = json_array_get(tokens, (size_t)i);
        ck_assert_str_eq(made.tokens[i].text, json_string_value(json_array_get(token, 0)));
        ck_assert_int_eq(made.tokens[i].type, json_integer_value(json_array_get(token, 2)));
    }
    ck_assert_msg(sl_tokenizer_open(&made, &t, &e) == SL_OK, "%s", e.message);
    for (size_t i = 0; i < json_array_size(strings); i++) {
        size_t len;
        char *string = string_at(strings, i, &len);
        ids.count = 0;
        ck_assert_msg(sl_tokenizer_encode(t, string, len, SL_CONTENT, false, SIZE_MAX, &ids, &e) == SL_OK, "%s", e.message);
        same_ids(&ids, json_array_get(json_object_get(reference, "ids"), i), "sentencepiece", i, "content");
        free(string);
    }
    sl_free(ids.id);
    sl_tokenizer_free(t);
    done(&f);
    json_decref(reference);
    json_decref(strings);
}
END_TEST

/* Merges that some BPE trainer chose: not every pair of a token is among them, so that scores would merge what they do not. */
START_TEST(merges_that_scores_cannot_stand_for) {
    size_t len;
    sl_vocab_source made;
    sl_error e = {0};
    char *text = read_reference("mixtral.json", &len);
    folder f = open_text(text, len);
    ck_assert_int_eq(sl_tokenizer_to_gguf(f.t, &f.v, f.arena, &made, &f.notes, &e), SL_UNSUPPORTED);
    ck_assert_msg(strstr(e.message, "SentencePiece") != NULL, "%s", e.message);
    done(&f);
}
END_TEST

/* Such merges in their order, where no space is put before a text. */
START_TEST(ranked_pieces) {
    size_t len;
    sl_vocab_source made;
    sl_tokenizer *t = NULL;
    sl_error e = {0};
    char *text = read_reference("gemma.json", &len);
    folder f = open_text(text, len);
    ck_assert_msg(sl_tokenizer_to_gguf(f.t, &f.v, f.arena, &made, &f.notes, &e) == SL_OK, "%s", e.message);
    ck_assert_str_eq(made.model, "gemma4");
    ck_assert(made.add_bos == 1 && made.add_space_prefix == 0 && made.merge_count > 100);
    ck_assert_msg(sl_tokenizer_open(&made, &t, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl_tokenizer_prefix(t), sl_tokenizer_prefix(f.t));
    same_as_reference(t, "gemma");
    sl_tokenizer_free(t);
    done(&f);
}
END_TEST

START_TEST(rows_without_a_token) {
    size_t len;
    sl_vocab_source made;
    sl_error e = {0};
    char *text = read_reference("gpt2.json", &len);
    folder f = open_text(text, len);
    int count = sl_tokenizer_count(f.t);
    f.v.rows = count + 3;
    ck_assert_msg(sl_tokenizer_to_gguf(f.t, &f.v, f.arena, &made, &f.notes, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(made.count, count + 3);
    for (int i = count; i < made.count; i++) ck_assert_int_eq(made.tokens[i].type, SL_TOKEN_UNUSED);
    ck_assert_int_eq(strncmp(made.tokens[count].text, "[PAD", 4), 0);
    done(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("text/to_gguf");
    TCase *t = tcase_create("to_gguf");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, byte_level_vocabularies, 0, sizeof byte_level / sizeof *byte_level);
    tcase_add_test(t, sentencepiece_vocabulary);
    tcase_add_test(t, merges_that_scores_cannot_stand_for);
    tcase_add_test(t, ranked_pieces);
    tcase_add_test(t, rows_without_a_token);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
