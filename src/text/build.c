/* What opening shares between the two containers: tokens, merges, ends, and what follows from them. */
#include "text/internal.h"

#include <limits.h>
#include <string.h>

sl_status sl__tokenizer_new(const char *origin, int rows, sl_tokenizer **ret, sl_error *e) {
    sl_arena *a = sl_arena_new();
    sl_tokenizer *t = a ? sl_arena_alloc(a, SL_MEM_VOCABULARY, sizeof *t) : NULL;
    const char *kept = a ? sl_arena_copy(a, SL_MEM_VOCABULARY, origin, strlen(origin)) : NULL;
    if (!t || !kept) {
        sl_arena_free(a);
        return sl_fail(e, SL_NOMEM, "%s: no memory for the tokenizer", origin);
    }
    t->arena = a;
    t->origin = kept;
    t->rows = rows > 0 ? rows : INT_MAX;
    t->bos = t->eos = t->unk = -1;
    memset(t->byte_id, 0xFF, sizeof t->byte_id);
    memset(t->before.root, 0xFF, sizeof t->before.root);
    memset(t->after.root, 0xFF, sizeof t->after.root);
    memset(t->special.root, 0xFF, sizeof t->special.root);
    *ret = t;
    return SL_OK;
}

/* SentencePiece's U+2581 to spaces, in place. */
static size_t unescape(char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && memcmp(text + i, SL__LOW_LINE, 3) == 0) {
            text[n++] = ' ';
            i += 3;
        } else {
            text[n++] = text[i++];
        }
    }
    return n;
}

/* Stores a text of the byte alphabet as the bytes that it stands for. *ret_in: it is in the alphabet; if not, it is stored
 * as it stands. false: no room. */
static bool store_decoded(sl__vocabulary *v, const char *text, size_t len, sl__text *ret, bool *ret_in) {
    size_t n;
    if (!sl__vocabulary_store(v, text, len, ret)) return false;
    *ret_in = sl__alphabet_decode(text, len, v->bytes + ret->at, &n);
    if (*ret_in) ret->len = (uint32_t)n;
    else memcpy(v->bytes + ret->at, text, len);
    return true;
}

static bool store_byte_level(sl__vocabulary *v, const char *text, size_t len, uint8_t flags, sl__text *ret_piece, sl__text *ret_key,
                             bool *key) {
    bool in = true;
    if (flags & SL__BYTE) {
        char byte = (char)sl__byte_name(text, len);
        return sl__vocabulary_store(v, &byte, 1, ret_piece) && sl__vocabulary_store(v, text, len, ret_key);
    }
    if (!store_decoded(v, text, len, ret_key, &in)) return false;
    *key = *key && in;
    *ret_piece = *ret_key;
    return !(flags & SL__ADDED) || sl__vocabulary_store(v, text, len, ret_piece);
}

static bool store_characters(sl_tokenizer *t, int id, const char *text, size_t len, uint8_t flags, sl__text *ret_piece, sl__text *ret_key) {
    sl__vocabulary *v = &t->vocabulary;
    if (!sl__vocabulary_store(v, text, len, ret_key)) return false;
    if (flags & SL__BYTE) {
        int byte = sl__byte_name(text, len);
        t->byte_id[byte] = id;
        return sl__vocabulary_store(v, &(char){(char)byte}, 1, ret_piece);
    }
    *ret_piece = *ret_key;
    if (t->kind == SL__SCORES && (flags & SL__ADDED)) return true; /* as llama.cpp; tokenizer.json's decoder unescapes them too */
    if (!sl__vocabulary_store(v, text, len, ret_piece)) return false;
    ret_piece->len = (uint32_t)unescape(v->bytes + ret_piece->at, ret_piece->len);
    return true;
}

sl_status sl__build_token(sl_tokenizer *t, int id, const char *text, size_t len, uint8_t flags, bool key, sl_error *e) {
    sl__vocabulary *v = &t->vocabulary;
    sl__text piece, own;
    bool stored = t->kind == SL__BYTES ? store_byte_level(v, text, len, flags, &piece, &own, &key)
                                       : store_characters(t, id, text, len, flags, &piece, &own);
    if (!stored) return sl_fail(e, SL_FORMAT, "%s: token %d does not fit", t->origin, id);
    v->flags[id] = (uint8_t)(flags | SL__PRESENT);
    v->piece[id] = piece;
    v->key[id] = own;
    if (key) sl__vocabulary_key(v, id);
    return SL_OK;
}

sl_status sl__build_raw_piece(sl_tokenizer *t, int id, const char *text, size_t len, sl_error *e) {
    if (sl__vocabulary_store(&t->vocabulary, text, len, &t->vocabulary.piece[id])) return SL_OK;
    return sl_fail(e, SL_FORMAT, "%s: token %d does not fit", t->origin, id);
}

sl_status sl__build_merge(sl_tokenizer *t, const char *left, size_t left_len, const char *right, size_t right_len,
                          uint32_t rank, sl__merge_known *ret_known, sl_buffer *scratch, sl_error *e) {
    sl_buffer_clear(scratch);
    if (!sl_buffer_reserve(scratch, left_len + right_len + 1)) return sl_fail(e, SL_NOMEM, "%s: no memory for merges", t->origin);
    char *both = scratch->data;
    size_t l = left_len, r = right_len;
    if (ret_known) *ret_known = SL__MERGE_STRANGE;
    if (t->kind == SL__BYTES) {
        /* A text outside the alphabet is never made of bytes, so the merge can never happen. */
        if (!sl__alphabet_decode(left, left_len, both, &l) || !sl__alphabet_decode(right, right_len, both + l, &r)) return SL_OK;
    } else {
        memcpy(both, left, l);
        memcpy(both + l, right, r);
    }
    const sl__vocabulary *v = &t->vocabulary;
    int left_id = sl__vocabulary_any(v, both, l), right_id = sl__vocabulary_any(v, both + l, r);
    int merged = sl__vocabulary_any(v, both, l + r);
    if (ret_known && left_id >= 0 && right_id >= 0) *ret_known = merged >= 0 ? SL__MERGE_WHOLE : SL__MERGE_PARTS;
    if (left_id < 0 || right_id < 0 || merged < 0) {
        if (ret_known) return SL_OK;
        return sl_fail(e, SL_FORMAT, "%s: merge %u (\"%.*s\" and \"%.*s\") has a part or a result that is no token", t->origin,
                       rank, (int)(left_len < 60 ? left_len : 60), left, (int)(right_len < 60 ? right_len : 60), right);
    }
    /* Text is never control: merging may not end in a special token. */
    if (!(v->flags[merged] & SL__SPECIAL)) sl__merges_add(&t->merges, left_id, right_id, rank, merged);
    return SL_OK;
}

sl_status sl__build_ends(sl_tokenizer *t, sl_error *e) {
    t->ends = sl_arena_array(t->arena, SL_MEM_VOCABULARY, (size_t)t->vocabulary.count, 1);
    return t->ends ? SL_OK : sl_fail(e, SL_NOMEM, "%s: no memory for the vocabulary", t->origin);
}

void sl__build_end(sl_tokenizer *t, int64_t id) {
    if (id >= 0 && id < t->vocabulary.count) t->ends[id] = 1;
}

sl_status sl__build_around(sl_tokenizer *t, const int32_t *prefix, int prefix_count, const int32_t *suffix,
                           int suffix_count, sl_error *e) {
    t->prefix = sl_arena_array(t->arena, SL_MEM_VOCABULARY, (size_t)prefix_count + 1, sizeof *t->prefix);
    t->suffix = sl_arena_array(t->arena, SL_MEM_VOCABULARY, (size_t)suffix_count + 1, sizeof *t->suffix);
    if (!t->prefix || !t->suffix) return sl_fail(e, SL_NOMEM, "%s: no memory for the tokenizer", t->origin);
    if (prefix_count) memcpy(t->prefix, prefix, (size_t)prefix_count * sizeof *prefix);
    if (suffix_count) memcpy(t->suffix, suffix, (size_t)suffix_count * sizeof *suffix);
    t->prefix_count = prefix_count;
    t->suffix_count = suffix_count;
    return SL_OK;
}

/* Does U+2581 follow another character than itself somewhere in the text ("the▁quick")? */
static bool crosses_space(const char *text, size_t len) {
    const char *end = text + len;
    for (const char *p = text; (p = memmem(p, (size_t)(end - p), SL__LOW_LINE, 3)); p += 3)
        if (p - text > 0 && (p - text < 3 || memcmp(p - 3, SL__LOW_LINE, 3) != 0)) return true;
    return false;
}

/* Special tokens by the text that a user knows them by. */
static sl__text name_of(const sl_tokenizer *t, int id) {
    return t->kind == SL__BYTES ? t->vocabulary.piece[id] : t->vocabulary.key[id];
}

static sl_status name_special(sl_tokenizer *t, sl_error *e) {
    const sl__vocabulary *v = &t->vocabulary;
    size_t bytes = 0;
    int count = 0;
    for (int i = 0; i < v->count; i++) {
        if (!(v->flags[i] & SL__SPECIAL) || !name_of(t, i).len) continue;
        bytes += name_of(t, i).len;
        count++;
    }
    sl_status s = sl__trie_make(t->arena, &t->special, count, bytes, e);
    for (int i = 0; i < v->count && s == SL_OK; i++) {
        sl__text name = name_of(t, i);
        if ((v->flags[i] & SL__SPECIAL) && name.len)
            s = sl__trie_add(&t->special, sl__vocabulary_text(v, name), name.len, &(sl__added){.id = i, .special = true}, e);
    }
    return s;
}

/* Tokens that the model's embedding has no row for: texts without them are served. */
static void note_rows(sl_tokenizer *t) {
    const sl__vocabulary *v = &t->vocabulary;
    int count = 0, first = 0;
    for (int i = v->count - 1; i >= t->rows; i--) {
        if (!(v->flags[i] & SL__PRESENT)) continue;
        count++;
        first = i;
    }
    if (!count) return;
    sl__text name = name_of(t, first);
    sl_notes_add(&t->notes,
                 "%s: %d token%s no row among the %d of the model's embedding, the first is \"%.*s\" (id %d): a text with such "
                 "a token is refused",
                 t->origin, count, count == 1 ? " has" : "s have", t->rows, (int)(name.len < 60 ? name.len : 60),
                 sl__vocabulary_text(v, name), first);
}

sl_status sl__build_seal(sl_tokenizer *t, sl_error *e) {
    sl__vocabulary *v = &t->vocabulary;
    t->words_at_spaces = t->kind != SL__BYTES && sl__vocabulary_find(v, SL__LOW_LINE, 3) >= 0;
    for (int i = 0; i < v->count; i++) {
        const char *piece = sl__vocabulary_text(v, v->piece[i]), *key = sl__vocabulary_text(v, v->key[i]);
        size_t len = v->piece[i].len;
        size_t most = sl_utf8_prefix(piece, len) == len ? len : 3 * len; /* each byte may become U+FFFD */
        if (most > t->longest) t->longest = most;
        if (t->words_at_spaces && (v->flags[i] & SL__KEYED) && crosses_space(key, v->key[i].len)) t->words_at_spaces = false;
    }
    t->longest += 9; /* three bytes held back that turn out to be no character */
    if (t->kind == SL__BYTES)
        for (int byte = 0; byte < 256; byte++) t->byte_id[byte] = sl__vocabulary_find(v, &(char){(char)byte}, 1);
    note_rows(t);
    sl_status s = name_special(t, e);
    if (s == SL_OK && !t->prefix) s = sl__build_around(t, NULL, 0, NULL, 0, e);
    return s;
}
