/* fixture.h: tokenizers of tests/reference/tokenizers, opened as a folder's files or as GGUF's arrays, and its strings. */
#ifndef TEST_TEXT_FIXTURE_H
#define TEST_TEXT_FIXTURE_H

#include "base/alloc.h"
#include "text/tokenizer.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline char *read_reference(const char *name, size_t *ret_len) {
    char path[600];
    const char *root = getenv("SLUICE_TESTS");
    snprintf(path, sizeof path, "%s/reference/tokenizers/%s", root ? root : "tests", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(size + 1);
    ck_assert_uint_eq(fread(text, 1, size, f), size);
    text[size] = 0;
    fclose(f);
    *ret_len = size;
    return text;
}

static inline json_t *reference_json(const char *name) {
    size_t len;
    json_error_t error;
    char *text = read_reference(name, &len);
    json_t *v = json_loadb(text, len, JSON_ALLOW_NUL, &error);
    ck_assert_msg(v != NULL, "%s: %s", name, error.text);
    free(text);
    return v;
}

/* The i-th string's bytes; malloc'd. */
static inline char *string_at(json_t *strings, size_t i, size_t *ret_len) {
    const char *hex = json_string_value(json_array_get(strings, i));
    size_t n = strlen(hex) / 2;
    char *bytes = malloc(n + 1);
    for (size_t k = 0; k < n; k++) {
        unsigned value;
        sscanf(hex + 2 * k, "%2x", &value);
        bytes[k] = (char)value;
    }
    *ret_len = n;
    return bytes;
}

static inline sl_tokenizer *open_hf(const char *name) {
    char file[100];
    size_t len;
    sl_error e = {0};
    sl_tokenizer *t = NULL;
    snprintf(file, sizeof file, "%s.json", name);
    char *text = read_reference(file, &len);
    sl_vocab_source v = {.tokenizer_json = text, .tokenizer_json_len = len, .origin = name};
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    free(text);
    return t;
}

/* GGUF's arrays, made from a tokenizer.json or given. */
typedef struct arrays {
    sl_vocab_token *tokens;
    int count;
    sl_vocab_merge *merges; /* texts are malloc'd */
    int merge_count;
    json_t *file;
} arrays;

static inline sl_vocab_source gguf_of(const arrays *a, const char *model, const char *pre) {
    return (sl_vocab_source){.model = model, .pre = pre, .tokens = a->tokens, .count = a->count, .merges = a->merges,
                             .merge_count = a->merge_count, .bos = -1, .eos = -1, .unk = -1, .eot = -1, .eom = -1, .pad = -1,
                             .add_bos = -1, .add_eos = -1, .add_space_prefix = -1, .origin = "test.gguf"};
}

static inline void arrays_free(arrays *a) {
    for (int i = 0; i < a->merge_count; i++) free((char *)(uintptr_t)a->merges[i].text);
    free(a->merges);
    free(a->tokens);
    json_decref(a->file);
    *a = (arrays){0};
}

/* What a converter writes for a byte-level tokenizer.json. */
static inline arrays arrays_of_hf(const char *name) {
    char file[100];
    const char *text;
    json_t *id, *added;
    size_t i;
    snprintf(file, sizeof file, "%s.json", name);
    arrays a = {.file = reference_json(file)};
    json_t *model = json_object_get(a.file, "model"), *vocab = json_object_get(model, "vocab");
    json_t *list = json_object_get(a.file, "added_tokens"), *merges = json_object_get(model, "merges");
    json_object_foreach(vocab, text, id) if (json_integer_value(id) >= a.count) a.count = (int)json_integer_value(id) + 1;
    json_array_foreach(list, i, added)
        if (json_integer_value(json_object_get(added, "id")) >= a.count) a.count = (int)json_integer_value(json_object_get(added, "id")) + 1;
    a.tokens = calloc((size_t)a.count, sizeof *a.tokens);
    json_object_foreach(vocab, text, id) {
        int n = (int)json_integer_value(id);
        a.tokens[n].text = text;
        a.tokens[n].len = (uint32_t)strlen(text);
        a.tokens[n].type = 1;
    }
    json_array_foreach(list, i, added) {
        int n = (int)json_integer_value(json_object_get(added, "id"));
        a.tokens[n].text = json_string_value(json_object_get(added, "content"));
        a.tokens[n].len = (uint32_t)strlen(a.tokens[n].text);
        a.tokens[n].type = json_is_true(json_object_get(added, "special")) ? 3 : 4;
    }
    a.merge_count = (int)json_array_size(merges);
    a.merges = calloc((size_t)a.merge_count, sizeof *a.merges);
    for (i = 0; i < (size_t)a.merge_count; i++) {
        json_t *m = json_array_get(merges, i);
        size_t size = json_string_length(json_array_get(m, 0)) + json_string_length(json_array_get(m, 1)) + 2;
        char *both = malloc(size);
        a.merges[i] = (sl_vocab_merge){both, (uint32_t)size - 1};
        snprintf(both, size, "%s %s", json_string_value(json_array_get(m, 0)), json_string_value(json_array_get(m, 1)));
    }
    return a;
}

static inline void same_ids(const sl_ids *ids, json_t *want, const char *name, size_t string, const char *mode) {
    bool same = ids->count == json_array_size(want);
    for (size_t i = 0; same && i < ids->count; i++) same = ids->id[i] == json_integer_value(json_array_get(want, i));
    if (same) return;
    fprintf(stderr, "%s, string %zu, %s\n want", name, string, mode);
    for (size_t i = 0; i < json_array_size(want); i++) fprintf(stderr, " %d", (int)json_integer_value(json_array_get(want, i)));
    fprintf(stderr, "\n have");
    for (size_t i = 0; i < ids->count; i++) fprintf(stderr, " %d", (int)ids->id[i]);
    fprintf(stderr, "\n");
    ck_abort_msg("%s, string %zu, %s: other ids than the reference", name, string, mode);
}

/* All strings, as markup and as content, against NAME.ids.json. */
static inline void same_as_reference(const sl_tokenizer *t, const char *name) {
    char file[100];
    snprintf(file, sizeof file, "%s.ids.json", name);
    json_t *strings = reference_json("strings.json"), *want = reference_json(file);
    json_t *markup = json_object_get(want, "markup"), *content = json_object_get(want, "content");
    sl_ids ids = {0};
    sl_error e = {0};
    for (size_t i = 0; i < json_array_size(strings); i++) {
        size_t len;
        char *text = string_at(strings, i, &len), number[24];
        snprintf(number, sizeof number, "%zu", i);
        ids.count = 0;
        ck_assert_msg(sl_tokenizer_encode(t, text, len, SL_MARKUP, false, SIZE_MAX, &ids, &e) == SL_OK, "%s", e.message);
        same_ids(&ids, json_array_get(markup, i), name, i, "markup");
        json_t *other = json_object_get(content, number);
        ids.count = 0;
        ck_assert_msg(sl_tokenizer_encode(t, text, len, SL_CONTENT, false, SIZE_MAX, &ids, &e) == SL_OK, "%s", e.message);
        same_ids(&ids, other ? other : json_array_get(markup, i), name, i, "content");
        for (size_t k = 0; k < ids.count; k++) ck_assert(!sl_tokenizer_special(t, ids.id[k]) || !other || strchr("mM", name[0])); /* unk apart */
        free(text);
    }
    sl_free(ids.id);
    json_decref(strings);
    json_decref(want);
}

#endif
