/* A tokenizer from GGUF's vocabulary arrays: the whole pipeline follows from the names of model and pre-tokenizer.
 *
 * What a token is follows from its type, but files are often wrong about it: old converters wrote no types or typed
 * everything as ordinary text. So some tokens are known by their texts (control.c), and "<0x0A>" in a SentencePiece
 * vocabulary is a byte whatever its type says. */
#include "text/internal.h"

#include "base/bits.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MOST_TOKENS (1 << 24)

typedef struct reader {
    sl_tokenizer *t;
    const sl_vocab_source *v;
    sl_error *e;
    bool has[SL__KNOWN];   /* known tokens that the vocabulary has */
    bool byte_typed[256];  /* bytes that have a token of type byte */
    int controls, bytes;   /* tokens taken for something else than their type says */
    int first_control;     /* the first of them */
} reader;

/* A higher score is a lower rank; equal scores are equal ranks. */
static uint32_t rank_of(float score) {
    if (score == 0) score = 0; /* -0 */
    return ~sl_float_order(score);
}

static bool is_added(int type) { return type == SL_TOKEN_UNKNOWN || type == SL_TOKEN_CONTROL || type == SL_TOKEN_USER; }

static bool has(const reader *r, const char *text) {
    int known = sl__known_find(text, strlen(text));
    return known >= 0 && r->has[known];
}

static bool is(const sl_vocab_token *k, const char *text) { return k->len == strlen(text) && memcmp(k->text, text, k->len) == 0; }

/* gpt-oss and Solar end a message of a turn with <|end|>, not the turn. */
static bool ends_a_message(const reader *r, const sl_vocab_token *k) {
    return is(k, "<|end|>") && (has(r, "<|call|>") || has(r, "<|calls|>")) && (has(r, "<|return|>") || has(r, "<|flush|>"));
}

/* And in Gemma's vocabulary </s> is a tag of HTML. */
static bool means_something_else(const reader *r, const sl_vocab_token *k) {
    return ends_a_message(r, k) || (is(k, "</s>") && has(r, "<|tool_response>"));
}

/* An id that the file says to end a text, a turn or a message. */
static void named_end(const reader *r, int id) {
    if (id >= 0 && id < r->v->count && !ends_a_message(r, &r->v->tokens[id])) sl__build_end(r->t, id);
}

static bool is_special_id(const reader *r, int id) {
    const sl_tokenizer *t = r->t;
    const sl_vocab_source *v = r->v;
    return id == t->bos || id == t->eos || id == t->unk || id == v->eot || id == v->eom || id == v->pad;
}

/* The byte that the token stands for by its text alone; -1: none, or another token has the type of that byte. */
static int untyped_byte(const reader *r, const sl_vocab_token *k) {
    int byte = r->t->kind != SL__BYTES && k->type != SL_TOKEN_BYTE ? sl__byte_name(k->text, k->len) : -1;
    return byte >= 0 && sl__byte_upper(k->text) && !r->byte_typed[byte] ? byte : -1;
}

static int type_of(const reader *r, int id) {
    const sl_vocab_token *k = &r->v->tokens[id];
    bool ordinary = k->type == SL_TOKEN_NORMAL || k->type == SL_TOKEN_UNTYPED;
    if (untyped_byte(r, k) >= 0) return SL_TOKEN_BYTE;
    if (k->type == SL_TOKEN_CONTROL || k->type == SL_TOKEN_UNKNOWN || k->type == SL_TOKEN_BYTE) return k->type;
    if (sl__known_find(k->text, k->len) >= 0 && !(ordinary && means_something_else(r, k))) return SL_TOKEN_CONTROL;
    if (ordinary && sl__looks_control(k->text, k->len)) return SL_TOKEN_CONTROL;
    if (ordinary && is_special_id(r, id) && sl__looks_named(k->text, k->len))
        return id == r->t->unk ? SL_TOKEN_UNKNOWN : SL_TOKEN_CONTROL;
    return k->type;
}

static sl_status read_token(reader *r, int id) {
    sl_tokenizer *t = r->t;
    const sl_vocab_token *k = &r->v->tokens[id];
    int type = type_of(r, id);
    uint8_t flags = 0;
    if (type != k->type) {
        if (type == SL_TOKEN_BYTE) r->bytes++;
        else if (r->controls++ == 0) r->first_control = id;
    }
    if (is_added(type)) flags = type == SL_TOKEN_USER ? SL__ADDED : SL__ADDED | SL__SPECIAL;
    if (type == SL_TOKEN_BYTE && (t->kind == SL__SCORES || sl__byte_name(k->text, k->len) >= 0)) flags = SL__BYTE;
    bool key = k->len > 0 && flags != SL__BYTE;
    if (t->kind == SL__SCORES) {
        if (isnan(k->score)) return sl_fail(r->e, SL_FORMAT, "%s: the score of token %d is not a number", t->origin, id);
        t->order[id] = rank_of(k->score);
        if (flags == SL__BYTE && sl__byte_name(k->text, k->len) < 0)
            return sl_fail(r->e, SL_FORMAT, "%s: token %d is a byte, but its text \"%.*s\" is not like <0x0A>", t->origin, id,
                           (int)(k->len < 40 ? k->len : 40), k->text);
        if (flags & SL__SPECIAL) key = false;
    }
    sl_status s = sl__build_token(t, id, k->text, k->len, flags, key, r->e);
    if (s == SL_OK && (flags & SL__ADDED) && k->len)
        s = sl__trie_add(&t->before, k->text, k->len, &(sl__added){.id = id, .special = flags & SL__SPECIAL}, r->e);
    int known = sl__known_find(k->text, k->len);
    if (s == SL_OK && (flags & SL__ADDED) && known >= 0 && sl__known_ends(known) && !means_something_else(r, k)) sl__build_end(t, id);
    return s;
}

static void survey(reader *r) {
    for (int i = 0; i < r->v->count; i++) {
        const sl_vocab_token *k = &r->v->tokens[i];
        int known = sl__known_find(k->text, k->len), byte = k->type == SL_TOKEN_BYTE ? sl__byte_name(k->text, k->len) : -1;
        if (known >= 0) r->has[known] = true;
        if (byte >= 0) r->byte_typed[byte] = true;
    }
}

static void note_types(reader *r) {
    sl_tokenizer *t = r->t;
    const sl_vocab_token *k = &r->v->tokens[r->first_control];
    if (r->controls)
        sl_notes_add(&t->notes, "%s: %d control token%s not typed as such, the first is \"%.*s\" (id %d): taken for control tokens all the same",
                     t->origin, r->controls, r->controls == 1 ? " is" : "s are", (int)(k->len < 60 ? k->len : 60), k->text, r->first_control);
    if (r->bytes) sl_notes_add(&t->notes, "%s: %d tokens like <0x0A> are not typed as bytes: taken for bytes all the same", t->origin, r->bytes);
}

static sl_status read_tokens(reader *r) {
    sl_tokenizer *t = r->t;
    const sl_vocab_source *v = r->v;
    size_t bytes = 0, added_bytes = 0;
    int added = 0;
    survey(r);
    for (int i = 0; i < v->count; i++) {
        int type = type_of(r, i);
        bytes += 2 * (size_t)v->tokens[i].len;
        added += is_added(type);
        if (is_added(type)) added_bytes += v->tokens[i].len;
    }
    sl_status s = sl__vocabulary_make(t->arena, &t->vocabulary, v->count, bytes, r->e);
    if (s == SL_OK) s = sl__build_ends(t, r->e);
    if (s == SL_OK) s = sl__trie_make(t->arena, &t->before, added, added_bytes, r->e);
    if (s == SL_OK && t->kind == SL__SCORES) {
        t->order = sl_arena_array(t->arena, SL_MEM_VOCABULARY, (size_t)v->count, sizeof *t->order);
        if (!t->order) s = sl_fail(r->e, SL_NOMEM, "no memory for the vocabulary");
    }
    for (int i = 0; i < v->count && s == SL_OK; i++) s = read_token(r, i);
    named_end(r, t->eos);
    named_end(r, v->eot);
    named_end(r, v->eom);
    for (int i = 0; i < v->end_count; i++) named_end(r, v->ends[i]);
    if (s == SL_OK) note_types(r);
    return s;
}

/* Is there a token of more than one byte that only merging can make? */
static bool needs_merges(const sl__vocabulary *v) {
    for (int i = 0; i < v->count; i++)
        if ((v->flags[i] & (SL__KEYED | SL__ADDED)) == SL__KEYED && v->key[i].len > 1) return true;
    return false;
}

static sl_status read_merges(reader *r) {
    sl_tokenizer *t = r->t;
    const sl_vocab_source *v = r->v;
    sl_buffer scratch = {0};
    int used = 0, strange = 0;
    sl_status s = sl__merges_make(t->arena, &t->merges, v->merge_count, r->e);
    for (int i = 0; i < v->merge_count && s == SL_OK; i++) {
        const char *text = v->merges[i].text;
        size_t len = v->merges[i].len;
        const char *space = len > 1 ? memchr(text + 1, ' ', len - 1) : NULL;
        sl__merge_known known = SL__MERGE_STRANGE;
        if (!space)
            s = sl_fail(r->e, SL_FORMAT, "%s: merge %d has no space between its parts", t->origin, i);
        else
            s = sl__build_merge(t, text, (size_t)(space - text), space + 1, len - (size_t)(space - text) - 1, (uint32_t)i, &known,
                                &scratch, r->e);
        used += known == SL__MERGE_WHOLE;
        strange += known == SL__MERGE_STRANGE;
    }
    sl_buffer_done(&scratch);
    if (s != SL_OK) return s;
    if (!used && strange == v->merge_count && needs_merges(&t->vocabulary)) /* every text would become single bytes */
        return v->merge_count ? sl_fail(r->e, SL_FORMAT, "%s: none of the %d merges joins two tokens", t->origin, v->merge_count)
                              : sl_fail(r->e, SL_FORMAT, "%s: tokenizer.ggml.merges is missing: without it text cannot be tokenised", t->origin);
    if (used < v->merge_count)
        sl_notes_add(&t->notes, "%s: %d of the %d merges name a text that is no token: left out", t->origin, v->merge_count - used, v->merge_count);
    return SL_OK;
}

static sl_status add_split(sl_tokenizer *t, const char *pattern, sl_error *e) {
    sl_status s = sl__splitter_compile(t->arena, pattern, strlen(pattern), false, t->origin, &t->splitter[t->splitters], e);
    if (s == SL_OK) t->splitters++;
    return s;
}

static sl_status byte_level(sl_tokenizer *t, const sl_vocab_source *v, bool *ret_add_bos, sl_error *e) {
    const sl__pre *pre = sl__pre_find(v->pre ? v->pre : "");
    if (!pre) {
        sl_buffer names = {0};
        sl__pre_names(&names);
        sl_fail(e, SL_UNSUPPORTED, "%s: pre-tokenizer \"%.60s\" is not supported; these are: %s", t->origin, v->pre,
                sl_buffer_text(&names));
        sl_buffer_done(&names);
        return SL_UNSUPPORTED;
    }
    bool named = v->pre && *v->pre;
    if (!named || strcmp(v->pre, "default") == 0)
        sl_notes_add(&t->notes, "%s: tokenizer.ggml.pre is %s: text is cut into words as llama.cpp does then, perhaps not as the model "
                     "learned it", t->origin, named ? "\"default\"" : "missing");
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

static void sentencepiece(sl_tokenizer *t, const sl_vocab_source *v) {
    t->kind = SL__SCORES;
    t->byte_fallback = t->fuse_unk = true;
    t->strip = v->add_space_prefix ? SL__STRIP_ONE : SL__STRIP_NONE;
    t->repair_bytes = true;
    if (v->add_space_prefix)
        t->normalizer[t->normalizers++] = (sl__normalizer){.kind = SL__PREPEND, .to = SL__LOW_LINE, .to_len = 3};
    t->normalizer[t->normalizers++] =
        (sl__normalizer){.kind = SL__REPLACE, .from = " ", .from_len = 1, .to = SL__LOW_LINE, .to_len = 3};
}

static bool is_named(const sl_vocab_source *v, const char *pre) {
    return strcmp(v->model, "gpt2") == 0 && v->pre && strcmp(v->pre, pre) == 0;
}

/* Ollama's converter calls Gemma 4's vocabulary "llama" and gives its tokens their ids for scores; what merges is listed, as elsewhere. */
static bool is_gemma(const sl_vocab_source *v) {
    bool listed = strcmp(v->model, "llama") == 0 && v->merge_count && v->pre && strcmp(v->pre, "gemma4") == 0;
    return strcmp(v->model, "gemma4") == 0 || is_named(v, "gemma4") || listed;
}

/* Gemma 4's, and Sarvam's (of Ling 2.0's architecture): SentencePiece's pieces, which merges with ranks make of characters. */
static bool is_ranked_pieces(const sl_vocab_source *v) { return is_gemma(v) || is_named(v, "sarvam-moe"); }

/* Nothing merges across the beginning or the end of a run of line breaks, so that texts may be cut there. */
static sl_status ranked_pieces(sl_tokenizer *t, sl_error *e) {
    t->kind = SL__CHARS;
    t->byte_fallback = t->fuse_unk = t->decode_bytes = t->repair_bytes = true;
    t->normalizer[t->normalizers++] =
        (sl__normalizer){.kind = SL__REPLACE, .from = " ", .from_len = 1, .to = SL__LOW_LINE, .to_len = 3};
    return add_split(t, "[^\\n]+|[\\n]+", e);
}

static int id_or(int id, int fallback, int count) {
    if (id < 0) id = fallback;
    return id < count ? id : -1;
}

static sl_status read_around(reader *r, bool add_bos) {
    sl_tokenizer *t = r->t;
    const sl_vocab_source *v = r->v;
    if (v->add_bos >= 0) add_bos = v->add_bos;
    if (v->add_bos == 1 && t->bos < 0) sl_notes_add(&t->notes, "%s: a bos token is to be added, but none is named: none is added", t->origin);
    if (v->add_eos == 1 && t->eos < 0) sl_notes_add(&t->notes, "%s: an eos token is to be added, but none is named: none is added", t->origin);
    return sl__build_around(t, &t->bos, add_bos && t->bos >= 0, &t->eos, v->add_eos == 1 && t->eos >= 0, r->e);
}

sl_status sl__open_gguf(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e) {
    reader r = {.v = v, .e = e};
    bool ranked = is_ranked_pieces(v), spm = !ranked && strcmp(v->model, "llama") == 0, add_bos = spm || is_gemma(v);
    sl_status s = sl__tokenizer_new(v->origin ? v->origin : "GGUF", v->rows, &r.t, e);
    if (s != SL_OK) return s;
    sl_tokenizer *t = r.t;
    if (!spm && !ranked && strcmp(v->model, "gpt2") != 0) {
        s = sl_fail(e, SL_UNSUPPORTED, "%s: tokenizer.ggml.model \"%.60s\" is not supported; these are: gemma4, gpt2, llama", t->origin, v->model);
        goto fail;
    }
    if (v->count < 1 || v->count > MOST_TOKENS || v->merge_count < 0 || v->merge_count > MOST_TOKENS) {
        s = sl_fail(e, SL_FORMAT, "%s: a vocabulary of %d tokens and %d merges is not possible", t->origin, v->count, v->merge_count);
        goto fail;
    }
    if (spm) sentencepiece(t, v);
    else s = ranked ? ranked_pieces(t, e) : byte_level(t, v, &add_bos, e);
    if (s != SL_OK) goto fail;
    t->bos = id_or(v->bos, spm ? 1 : -1, v->count);
    t->eos = id_or(v->eos, spm ? 2 : -1, v->count);
    if (spm) t->unk = id_or(v->unk, 0, v->count);
    if (ranked) t->unk = id_or(v->unk, -1, v->count);
    if ((s = read_tokens(&r)) != SL_OK) goto fail;
    if (!spm && (s = read_merges(&r)) != SL_OK) goto fail;
    if ((s = read_around(&r, add_bos)) != SL_OK) goto fail;
    if ((s = sl__build_seal(t, e)) != SL_OK) goto fail;
    *ret = t;
    return SL_OK;
fail:
    sl_tokenizer_free(t);
    return s;
}
