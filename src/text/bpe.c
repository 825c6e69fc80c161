/* One word: cut into its first symbols (bytes or characters), which merge.c joins; what is left of them becomes ids. */
#include "text/internal.h"

#include "base/alloc.h"

#include <string.h>

static sl_status room_for(sl__encoder *en, size_t symbols) {
    if (symbols <= en->symbol_cap) return SL_OK;
    if (symbols > INT32_MAX) return sl_fail(en->e, SL_TOO_LONG, "a word of %zu bytes is too long", symbols);
    size_t cap = symbols < 256 ? 256 : symbols;
    sl_free(en->symbols);
    en->symbol_cap = 0;
    en->symbols = sl_realloc(NULL, cap, sizeof *en->symbols);
    if (!en->symbols) return sl_fail(en->e, SL_NOMEM, "no memory to tokenise a word of %zu symbols", symbols);
    en->symbol_cap = cap;
    return SL_OK;
}

static size_t bytes_to_symbols(sl__encoder *en, const char *word, size_t len) {
    const sl_tokenizer *t = en->t;
    size_t n = 0;
    bool unk = false; /* the last symbol stands for unknown bytes */
    for (size_t i = 0; i < len; i++) {
        int id = t->byte_id[(uint8_t)word[i]];
        bool known = id >= 0;
        if (!known) {
            if (t->unk < 0 || (unk && t->fuse_unk)) continue;
            id = t->unk;
        }
        unk = !known;
        en->symbols[n++] = (sl__symbol){.id = id, .at = (uint32_t)i, .len = 1};
    }
    return n;
}

/* Characters to symbols, exactly as the tokenizers package does it. A character that is no token becomes the tokens of its
 * bytes, if the vocabulary has all of them, or else an unknown. An unknown is held back until the next character that is a
 * token, or the end of the word, so that several can become one (fuse_unk). The tokens of bytes are not held back and
 * overtake it: where a vocabulary has the bytes of é but not those of ☃, "☃éa" is <0xC3> <0xA9> <unk> a. */
static size_t chars_to_symbols(sl__encoder *en, const char *word, size_t len) {
    const sl_tokenizer *t = en->t;
    size_t n = 0;
    bool unk = false;
    int step;
    for (size_t i = 0; i < len; i += (size_t)step) {
        sl_utf8_next(word + i, len - i, &step);
        int id = sl__vocabulary_find(&t->vocabulary, word + i, (size_t)step);
        if (id >= 0) {
            if (unk) en->symbols[n++] = (sl__symbol){.id = t->unk};
            unk = false;
            en->symbols[n++] = (sl__symbol){.id = id};
            continue;
        }
        bool bytes = t->byte_fallback;
        for (int b = 0; bytes && b < step; b++) bytes = t->byte_id[(uint8_t)word[i + (size_t)b]] >= 0;
        if (bytes) {
            for (int b = 0; b < step; b++) en->symbols[n++] = (sl__symbol){.id = t->byte_id[(uint8_t)word[i + (size_t)b]]};
        } else if (t->unk >= 0) {
            if (unk && !t->fuse_unk) en->symbols[n++] = (sl__symbol){.id = t->unk};
            unk = true;
        }
    }
    if (unk) en->symbols[n++] = (sl__symbol){.id = t->unk};
    return n;
}

static size_t chars_with_places(sl__encoder *en, const char *word, size_t len) {
    size_t n = 0;
    int step;
    for (size_t i = 0; i < len; i += (size_t)step) {
        sl_utf8_next(word + i, len - i, &step);
        int id = sl__vocabulary_find(&en->t->vocabulary, word + i, (size_t)step);
        en->symbols[n++] = (sl__symbol){.id = id, .at = (uint32_t)i, .len = (uint32_t)step};
    }
    return n;
}

/* SCORES: a symbol that is no token becomes the tokens of its bytes; for bytes without a token it becomes an unknown, one
 * for as many as follow each other. */
static sl_status emit_scores(sl__encoder *en, const char *word) {
    const sl_tokenizer *t = en->t;
    sl_status s = SL_OK;
    bool unk = false;
    for (int32_t i = 0; i >= 0 && s == SL_OK; i = en->symbols[i].next) {
        const sl__symbol *sym = &en->symbols[i];
        bool known = sym->id >= 0;
        if (known) s = sl__emit(en, sym->id);
        for (uint32_t b = 0; !known && b < sym->len && s == SL_OK; b++) {
            int id = t->byte_id[(uint8_t)word[sym->at + b]];
            bool fused = id < 0 && unk;
            unk = id < 0;
            if (id < 0) id = t->unk;
            if (id >= 0 && !fused) s = sl__emit(en, id);
        }
        if (known) unk = false;
    }
    return s;
}

static sl_status merge_word(sl__encoder *en, const char *word, size_t len) {
    sl_status s = room_for(en, len);
    if (s != SL_OK) return s;
    size_t n = 0;
    switch (en->t->kind) {
    case SL__BYTES: n = bytes_to_symbols(en, word, len); break;
    case SL__CHARS: n = chars_to_symbols(en, word, len); break;
    case SL__SCORES: n = chars_with_places(en, word, len); break;
    }
    if (!n) return SL_OK;
    if ((s = sl__merge(en, word, n)) != SL_OK) return s;
    if (en->t->kind == SL__SCORES) return emit_scores(en, word);
    for (int32_t i = 0; i >= 0 && s == SL_OK; i = en->symbols[i].next) s = sl__emit(en, en->symbols[i].id);
    return s;
}

/* The end of the part that begins at text: the next U+2581 that follows another character, as in "▁▁the|▁quick". No merge
 * crosses such a place when no token does (words_at_spaces), so each part can be merged alone, with little memory. */
static const char *part_end(const char *text, const char *end) {
    const char *p = text;
    while (end - p >= 3 && memcmp(p, SL__LOW_LINE, 3) == 0) p += 3;
    const char *space = memmem(p, (size_t)(end - p), SL__LOW_LINE, 3);
    return space ? space : end;
}

sl_status sl__word(sl__encoder *en, const char *word, size_t len) {
    const sl_tokenizer *t = en->t;
    if (t->ignore_merges) {
        int id = sl__vocabulary_find(&t->vocabulary, word, len);
        if (id >= 0) return sl__emit(en, id);
    }
    if (!t->words_at_spaces) return merge_word(en, word, len);
    sl_status s = SL_OK;
    for (const char *end = word + len, *next; word < end && s == SL_OK; word = next) {
        next = part_end(word, end);
        s = merge_word(en, word, (size_t)(next - word));
    }
    return s;
}
