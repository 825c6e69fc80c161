/* A tokenizer from GGUF's vocabulary arrays: the whole pipeline follows from the names of model and pre-tokenizer. */
#include "text/internal.h"

#include "base/bits.h"

#include <math.h>
#include <string.h>

#define MOST_TOKENS (1 << 24)

enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_BYTE = 6 };

/* Texts of tokens that end a generation, for files that name only one of several. */
static const char *const end_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|endoftext|>", "<|eom_id|>", "<|end_of_text|>",
    "<EOT>", "_<EOT>", "<end_of_turn>", "</s>", "<｜end▁of▁sentence｜>", "[EOT]", "[EOS]", "<eos>", "<|flush|>",
    "<|calls|>", "<end_of_utterance>", "<turn|>", "<|tool_response>", "[e~[", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>",
};

typedef struct token {
    const char *text;
    uint32_t len;
    float score;
    int type;
} token;

static token token_of(const sl_gguf_vocab *v, int i) {
    token k = {.text = "", .type = 1};
    v->token(v->arg, i, &k.text, &k.len, &k.score, &k.type);
    return k;
}

static bool is_added(int type) { return type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER; }

/* A higher score is a lower rank; equal scores are equal ranks. */
static uint32_t rank_of(float score) {
    if (score == 0) score = 0; /* -0 */
    return ~sl_float_order(score);
}

static sl_status read_token(sl_tokenizer *t, int i, const token *k, sl_error *e) {
    uint8_t flags = 0;
    if (is_added(k->type)) flags = k->type == TYPE_USER ? SL__ADDED : SL__ADDED | SL__SPECIAL;
    bool key = k->len > 0;
    if (t->kind == SL__SCORES) {
        if (isnan(k->score)) return sl_fail(e, SL_FORMAT, "%s: the score of token %d is not a number", t->origin, i);
        t->order[i] = rank_of(k->score);
        if (k->type == TYPE_BYTE) {
            if (sl__byte_name(k->text, k->len) < 0)
                return sl_fail(e, SL_FORMAT, "%s: token %d is a byte, but its text \"%.*s\" is not like <0x0A>", t->origin, i,
                               (int)(k->len < 40 ? k->len : 40), k->text);
            flags = SL__BYTE;
            key = false;
        }
        if (flags & SL__SPECIAL) key = false;
    }
    sl_status s = sl__build_token(t, i, k->text, k->len, flags, key, e);
    if (s == SL_OK && (flags & SL__ADDED) && k->len)
        s = sl__trie_add(&t->before, k->text, k->len, &(sl__added){.id = i, .special = flags & SL__SPECIAL}, e);
    return s;
}

static sl_status read_tokens(sl_tokenizer *t, const sl_gguf_vocab *v, sl_error *e) {
    size_t bytes = 0, added_bytes = 0;
    int added = 0;
    for (int i = 0; i < v->count; i++) {
        token k = token_of(v, i);
        bytes += (size_t)k.len * (t->kind == SL__BYTES ? 1 : 2);
        added += is_added(k.type);
        if (is_added(k.type)) added_bytes += k.len;
    }
    sl_status s = sl__vocabulary_make(t->arena, &t->vocabulary, v->count, bytes, e);
    if (s == SL_OK) s = sl__trie_make(t->arena, &t->before, added, added_bytes, e);
    if (s == SL_OK && t->kind == SL__SCORES) {
        t->order = sl_arena_array(t->arena, SL_MEM_VOCABULARY, (size_t)v->count, sizeof *t->order);
        if (!t->order) s = sl_fail(e, SL_NOMEM, "no memory for the vocabulary");
    }
    for (int i = 0; i < v->count && s == SL_OK; i++) {
        token k = token_of(v, i);
        s = read_token(t, i, &k, e);
    }
    return s;
}

static sl_status read_merges(sl_tokenizer *t, const sl_gguf_vocab *v, sl_error *e) {
    sl_buffer scratch = {0};
    sl_status s = sl__merges_make(t->arena, &t->merges, v->merge_count, e);
    for (int i = 0; i < v->merge_count && s == SL_OK; i++) {
        const char *text = "";
        uint32_t len = 0;
        v->merge(v->arg, i, &text, &len);
        const char *space = len > 1 ? memchr(text + 1, ' ', len - 1) : NULL;
        if (!space)
            s = sl_fail(e, SL_FORMAT, "%s: merge %d has no space between its parts", t->origin, i);
        else
            s = sl__build_merge(t, text, (size_t)(space - text), space + 1, len - (size_t)(space - text) - 1, (uint32_t)i,
                                true, &scratch, e);
    }
    sl_buffer_done(&scratch);
    return s;
}

static int find_added(const sl_tokenizer *t, const char *text) {
    size_t len = strlen(text);
    const sl__vocabulary *v = &t->vocabulary;
    for (int i = 0; i < t->before.count; i++) {
        sl__text piece = v->piece[t->before.added[i].id];
        if (piece.len == len && memcmp(sl__vocabulary_text(v, piece), text, len) == 0) return t->before.added[i].id;
    }
    return -1;
}

static sl_status read_ends(sl_tokenizer *t, const sl_gguf_vocab *v, sl_error *e) {
    sl_status s = sl__build_ends(t, e);
    if (s != SL_OK) return s;
    sl__build_end(t, t->eos);
    sl__build_end(t, v->eot);
    sl__build_end(t, v->eom);
    for (size_t i = 0; i < sizeof end_texts / sizeof *end_texts; i++) sl__build_end(t, find_added(t, end_texts[i]));
    /* In gpt-oss's vocabulary <|end|> ends a message of a turn, not the turn. */
    int end = find_added(t, "<|end|>");
    if (end >= 0 && end != t->eos && find_added(t, "<|return|>") >= 0 && find_added(t, "<|call|>") >= 0) t->ends[end] = 0;
    return SL_OK;
}

static sl_status add_split(sl_tokenizer *t, const char *pattern, sl_error *e) {
    sl_status s = sl__splitter_compile(t->arena, pattern, strlen(pattern), false, t->origin, &t->splitter[t->splitters], e);
    if (s == SL_OK) t->splitters++;
    return s;
}

static sl_status byte_level(sl_tokenizer *t, const sl_gguf_vocab *v, bool *ret_add_bos, sl_error *e) {
    const sl__pre *pre = sl__pre_find(v->pre ? v->pre : "");
    if (!pre) {
        sl_buffer names = {0};
        sl__pre_names(&names);
        sl_fail(e, SL_UNSUPPORTED, "%s: pre-tokenizer \"%.60s\" is not supported; these are: %s", t->origin, v->pre,
                sl_buffer_text(&names));
        sl_buffer_done(&names);
        return SL_UNSUPPORTED;
    }
    t->kind = SL__BYTES;
    t->ignore_merges = pre->ignore_merges;
    *ret_add_bos = pre->add_bos;
    if (pre->nfc) t->normalizer[t->normalizers++].kind = SL__NFC;
    if (v->add_space_prefix == 1) t->splitter[t->splitters++].kind = SL__PREFIX_SPACE;
    sl_status s = SL_OK;
    for (size_t i = 0; i < sizeof pre->pattern / sizeof *pre->pattern && pre->pattern[i] && s == SL_OK; i++)
        s = add_split(t, pre->pattern[i], e);
    return s;
}

static void sentencepiece(sl_tokenizer *t, const sl_gguf_vocab *v) {
    t->kind = SL__SCORES;
    t->byte_fallback = t->fuse_unk = true;
    t->strip = v->add_space_prefix ? SL__STRIP_ONE : SL__STRIP_NONE;
    t->repair_bytes = true;
    if (v->add_space_prefix)
        t->normalizer[t->normalizers++] = (sl__normalizer){.kind = SL__PREPEND, .to = SL__LOW_LINE, .to_len = 3};
    t->normalizer[t->normalizers++] =
        (sl__normalizer){.kind = SL__REPLACE, .from = " ", .from_len = 1, .to = SL__LOW_LINE, .to_len = 3};
}

static int id_or(int id, int fallback, int count) {
    if (id < 0) id = fallback;
    return id < count ? id : -1;
}

sl_status sl_tokenizer_from_gguf(const sl_gguf_vocab *v, sl_tokenizer **ret, sl_error *e) {
    sl_tokenizer *t = NULL;
    const char *model = v->model ? v->model : "";
    bool spm = strcmp(model, "llama") == 0, add_bos = spm;
    sl_status s = sl__tokenizer_new(v->origin ? v->origin : "GGUF", &t, e);
    if (s != SL_OK) return s;
    if (!spm && strcmp(model, "gpt2") != 0) {
        s = sl_fail(e, SL_UNSUPPORTED, "%s: tokenizer.ggml.model \"%.60s\" is not supported; these are: gpt2, llama", t->origin, model);
        goto fail;
    }
    if (v->count < 1 || v->count > MOST_TOKENS || v->merge_count < 0 || v->merge_count > MOST_TOKENS) {
        s = sl_fail(e, SL_FORMAT, "%s: a vocabulary of %d tokens and %d merges is not possible", t->origin, v->count, v->merge_count);
        goto fail;
    }
    if (spm)
        sentencepiece(t, v);
    else if ((s = byte_level(t, v, &add_bos, e)) != SL_OK)
        goto fail;
    t->bos = id_or(v->bos, spm ? 1 : -1, v->count);
    t->eos = id_or(v->eos, spm ? 2 : -1, v->count);
    if (spm) t->unk = id_or(v->unk, 0, v->count);
    if ((s = read_tokens(t, v, e)) != SL_OK) goto fail;
    if (!spm && (s = read_merges(t, v, e)) != SL_OK) goto fail;
    if ((s = read_ends(t, v, e)) != SL_OK) goto fail;
    if (v->add_bos >= 0) add_bos = v->add_bos;
    if ((s = sl__build_around(t, &t->bos, add_bos && t->bos >= 0, &t->eos, v->add_eos == 1 && t->eos >= 0, e)) != SL_OK) goto fail;
    if ((s = sl__build_seal(t, e)) != SL_OK) goto fail;
    *ret = t;
    return SL_OK;
fail:
    sl_tokenizer_free(t);
    return s;
}
