/* GGUF's tokenizer.ggml.* keys to a vocabulary source: texts stay in the mapping, one table of where they are is made. */
#include "model/internal.h"

#include <inttypes.h>
#include <string.h>

#define MOST_TOKENS (1 << 24)
#define MOST_ENDS 256

static const sl__gguf_value *array(const sl__gguf *g, const char *key, uint8_t element) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    return v && v->type == SL__GGUF_ARRAY && v->element == element ? v : NULL;
}

static bool is_integer(uint8_t element) {
    return element <= SL__GGUF_I32 || element == SL__GGUF_U64 || element == SL__GGUF_I64;
}

static bool is_number(uint8_t element) { return is_integer(element) || element == SL__GGUF_F32 || element == SL__GGUF_F64; }

/* An array that says something of every token (of more than there are, in some files); *ret NULL: absent. */
static sl_status per_token(const sl__gguf *g, const char *key, bool (*fits)(uint8_t element), const char *what, uint64_t count,
                           const sl__gguf_value **ret, sl_error *e) {
    const sl__gguf_value *v = *ret = sl__gguf_find(g, key);
    if (!v || (v->type == SL__GGUF_ARRAY && fits(v->element) && v->count >= count)) return SL_OK;
    return sl_fail(e, SL_FORMAT, "%s is not an array of %" PRIu64 " %s", key, count, what);
}

static sl_status read_tokens(const sl__gguf *g, sl_arena *arena, sl_vocab_source *ret, sl_error *e) {
    const sl__gguf_value *tokens = array(g, "tokenizer.ggml.tokens", SL__GGUF_STRING), *scores, *types;
    if (!tokens) return sl_fail(e, SL_FORMAT, "key tokenizer.ggml.tokens is missing or no array of strings");
    uint64_t count = tokens->count;
    if (count > MOST_TOKENS) return sl_fail(e, SL_FORMAT, "tokenizer.ggml.tokens has %" PRIu64 " tokens, more than %d", count, MOST_TOKENS);
    sl_status s = per_token(g, "tokenizer.ggml.scores", is_number, "numbers", count, &scores, e);
    if (s == SL_OK) s = per_token(g, "tokenizer.ggml.token_type", is_integer, "integers", count, &types, e);
    if (s != SL_OK) return s;
    sl_vocab_token *token = sl_arena_array(arena, SL_MEM_VOCABULARY, (size_t)count + 1, sizeof *token);
    if (!token) return sl_fail(e, SL_NOMEM, "out of memory for the vocabulary");
    const uint8_t *p = tokens->data;
    for (uint64_t i = 0; i < count; i++) {
        sl__name text = sl__gguf_next_string(&p);
        int64_t type = types ? sl__gguf_int_at(types, i) : SL_TOKEN_UNTYPED;
        float score = !scores ? 0 : is_integer(scores->element) ? (float)sl__gguf_int_at(scores, i) : sl__gguf_float_at(scores, i);
        token[i] = (sl_vocab_token){text.text, text.len, score,
                                    type >= SL_TOKEN_UNTYPED && type <= SL_TOKEN_BYTE ? (int32_t)type : SL_TOKEN_UNTYPED};
    }
    ret->tokens = token;
    ret->count = (int)count;
    return SL_OK;
}

static sl_status read_merges(const sl__gguf *g, sl_arena *arena, sl_vocab_source *ret, sl_error *e) {
    const sl__gguf_value *merges = array(g, "tokenizer.ggml.merges", SL__GGUF_STRING);
    if (!merges) {
        if (sl__gguf_find(g, "tokenizer.ggml.merges")) return sl_fail(e, SL_FORMAT, "tokenizer.ggml.merges is no array of strings");
        return SL_OK;
    }
    sl_vocab_merge *merge = sl_arena_array(arena, SL_MEM_VOCABULARY, (size_t)merges->count + 1, sizeof *merge);
    if (!merge) return sl_fail(e, SL_NOMEM, "out of memory for the vocabulary");
    const uint8_t *p = merges->data;
    for (uint64_t i = 0; i < merges->count; i++) {
        sl__name text = sl__gguf_next_string(&p);
        merge[i] = (sl_vocab_merge){text.text, text.len};
    }
    ret->merges = merge;
    ret->merge_count = (int)merges->count;
    return SL_OK;
}

/* A token id that stands under a key; -1 if the key is absent, says "none" (-1, which an unsigned type has as its largest value), or
 * names no token, which is noted: files with such padding and unknown ids are common, and nothing depends on them. */
static sl_status read_id(const sl__gguf *g, const char *key, int count, int *ret, sl_notes *notes, sl_error *e) {
    int64_t id = -1;
    uint64_t large = 0;
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (v && v->type == SL__GGUF_U64) memcpy(&large, v->data, sizeof large);
    if (large > INT64_MAX) {
        *ret = -1;
        if (large != UINT64_MAX)
            sl_notes_add(notes, "%s: %s is %" PRIu64 ", but there are %d tokens: it is ignored", g->origin, key, large, count);
        return SL_OK;
    }
    sl_status s = sl__gguf_int(g, key, false, INT64_MIN, INT64_MAX, &id, e);
    if (s != SL_OK) return s;
    *ret = id >= 0 && id < count ? (int)id : -1;
    if (*ret < 0 && id != -1 && id != UINT32_MAX)
        sl_notes_add(notes, "%s: %s is %" PRId64 ", but there are %d tokens: it is ignored", g->origin, key, id, count);
    return SL_OK;
}

/* Ollama's converter writes a list of what ends an answer: all that generation_config.json has, where eos_token_id is the first. */
static sl_status read_ends(const sl__gguf *g, sl_arena *arena, sl_vocab_source *ret, sl_notes *notes, sl_error *e) {
    static const char key[] = "tokenizer.ggml.eos_token_ids";
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v) return SL_OK;
    if (v->type != SL__GGUF_ARRAY || !is_integer(v->element)) return sl_fail(e, SL_FORMAT, "%s is no array of integers", key);
    if (v->count > MOST_ENDS) return sl_fail(e, SL_FORMAT, "%s has %" PRIu64 " elements, more than %d", key, v->count, MOST_ENDS);
    int32_t *ends = sl_arena_array(arena, SL_MEM_VOCABULARY, (size_t)v->count + 1, sizeof *ends);
    if (!ends) return sl_fail(e, SL_NOMEM, "out of memory for the vocabulary");
    ret->ends = ends;
    for (uint64_t i = 0; i < v->count; i++) {
        int64_t id = sl__gguf_int_at(v, i);
        if (id >= 0 && id < ret->count) ends[ret->end_count++] = (int32_t)id;
        else if (id != -1 && id != UINT32_MAX)
            sl_notes_add(notes, "%s: %s has %" PRId64 ", but there are %d tokens: it is ignored", g->origin, key, id, ret->count);
    }
    if (ret->eos < 0 && ret->end_count) ret->eos = ends[0];
    return SL_OK;
}

static sl_status read_ids(const sl__gguf *g, sl_vocab_source *ret, sl_notes *notes, sl_error *e) {
    const struct {
        const char *key;
        int *to;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", &ret->bos},     {"tokenizer.ggml.eos_token_id", &ret->eos},
        {"tokenizer.ggml.unknown_token_id", &ret->unk}, {"tokenizer.ggml.eot_token_id", &ret->eot},
        {"tokenizer.ggml.eom_token_id", &ret->eom},     {"tokenizer.ggml.padding_token_id", &ret->pad},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        sl_status s = read_id(g, ids[i].key, ret->count, ids[i].to, notes, e);
        if (s != SL_OK) return s;
    }
    const struct {
        const char *key;
        int *to;
    } flags[] = {
        {"tokenizer.ggml.add_bos_token", &ret->add_bos},
        {"tokenizer.ggml.add_eos_token", &ret->add_eos},
        {"tokenizer.ggml.add_space_prefix", &ret->add_space_prefix},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool on = false;
        if (!sl__gguf_find(g, flags[i].key)) continue;
        sl_status s = sl__gguf_bool(g, flags[i].key, &on, e);
        if (s != SL_OK) return s;
        *flags[i].to = on;
    }
    return SL_OK;
}

sl_status sl__gguf_vocab(const sl__gguf *g, sl_arena *arena, sl_vocab_source *ret, sl_notes *notes, sl_error *e) {
    sl_vocab_source v = {
        .pre = "", .bos = -1, .eos = -1, .unk = -1, .eot = -1, .eom = -1, .pad = -1,
        .add_bos = -1, .add_eos = -1, .add_space_prefix = -1, .origin = g->origin,
    };
    sl_status s = sl__gguf_string(g, "tokenizer.ggml.model", true, arena, SL_MEM_VOCABULARY, &v.model, e);
    if (s == SL_OK) s = sl__gguf_string(g, "tokenizer.ggml.pre", false, arena, SL_MEM_VOCABULARY, &v.pre, e);
    if (s == SL_OK) s = sl__gguf_string(g, "tokenizer.chat_template", false, arena, SL_MEM_VOCABULARY, &v.chat_template, e);
    bool none = s == SL_OK && (strcmp(v.model, "none") == 0 || strcmp(v.model, "no_vocab") == 0);
    if (s == SL_OK && !none) s = read_tokens(g, arena, &v, e);
    if (s == SL_OK && !none) s = read_merges(g, arena, &v, e);
    if (s == SL_OK && !none) s = read_ids(g, &v, notes, e);
    if (s == SL_OK && !none) s = read_ends(g, arena, &v, notes, e);
    if (s == SL_OK) *ret = v;
    return s;
}
