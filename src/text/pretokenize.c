/* From text to words: splitting patterns, SentencePiece's space and GPT-2's leading one.
 *
 * A pattern of tokenizer.json is Oniguruma's. Three ways lead from it to words: a scanner over our own tables (regex.c,
 * which takes all patterns that are known today); for the few that count digits from the right, a scanner for the run of
 * digits and some arithmetic; and PCRE2 (pcre.c) for what nobody foresaw. */
#include "text/internal.h"

#include "base/alloc.h"
#include "text/scanner.h"

#include <string.h>

#define LONGEST_PATTERN 8192

/* Patterns that cut digits into threes from the right: 1234567 is 1, 234, 567. They look ahead over the whole number from
 * each of its digits, which takes quadratic time; so what they say is done by counting. */
static const struct {
    const char *pattern;
    const char *run; /* one number; for \b: only when no letter follows */
    bool whole;      /* cut before and after the number too */
} thousands[] = {
    {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", "\\p{N}+", true},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", "\\d++(?!\\w)", true},
    {"(?=(\\d{3})+(?!\\d))", "\\d+", false},
};

static sl_status make_scanner(sl_arena *a, const char *pattern, size_t len, sl__splitter *ret) {
    sl__program p = {0};
    sl_status s = sl__program_read(&p, pattern, len);
    if (s == SL_OK) s = sl__scanner_make(a, &p, &ret->scanner);
    sl__program_done(&p);
    return s;
}

sl_status sl__splitter_compile(sl_arena *a, const char *pattern, size_t len, bool literal, const char *origin,
                               sl__splitter *ret, sl_error *e) {
    const char *kept = sl_arena_copy(a, SL_MEM_VOCABULARY, pattern, len);
    sl_status s = SL_UNSUPPORTED;
    if (!kept) return sl_fail(e, SL_NOMEM, "no memory for a pattern");
    if (!len || len > LONGEST_PATTERN)
        return sl_fail(e, SL_UNSUPPORTED, "%s: splitting pattern \"%.200s\": its length is not supported", origin, kept);
    *ret = (sl__splitter){.kind = SL__SPLIT, .keep_gaps = true, .keep_matches = true, .pattern = kept};
    for (size_t i = 0; !literal && i < sizeof thousands / sizeof *thousands; i++) {
        if (strlen(thousands[i].pattern) != len || memcmp(thousands[i].pattern, pattern, len) != 0) continue;
        ret->cut = thousands[i].whole ? SL__CUT_NUMBERS : SL__CUT_THOUSANDS;
        pattern = thousands[i].run;
        len = strlen(pattern);
    }
    if (!literal) s = make_scanner(a, pattern, len, ret);
    if (s == SL_NOMEM) return sl_fail(e, SL_NOMEM, "no memory for a pattern");
    return s == SL_OK ? SL_OK : sl__pcre_compile(kept, len, literal, origin, &ret->code, e);
}

void sl__splitter_done(sl__splitter *s) {
    if (s->code) pcre2_code_free(s->code);
    s->code = NULL;
}

static sl_status add_word(sl__encoder *en, sl__words *w, size_t at, size_t len) {
    if (!len) return SL_OK;
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 256;
        sl__text *grown = sl_realloc(w->word, cap, sizeof *grown);
        if (!grown) return sl_fail(en->e, SL_NOMEM, "no memory for %zu words of text", cap);
        w->word = grown;
        w->cap = cap;
    }
    w->word[w->count++] = (sl__text){.at = (uint32_t)at, .len = (uint32_t)len};
    return SL_OK;
}

/* Cuts a number, text[start … stop), into threes from the right. *done: what lies before it is words already. */
static sl_status cut_number(sl__encoder *en, const sl__splitter *sp, const char *text, size_t start, size_t stop, size_t base,
                            size_t *done, sl__words *out) {
    bool whole = sp->cut == SL__CUT_NUMBERS;
    size_t digits = 0;
    sl_status s = SL_OK;
    for (size_t i = start; i < stop; i++) digits += ((uint8_t)text[i] & 0xC0) != 0x80;
    for (size_t i = start; i < stop && s == SL_OK; i++) {
        if (((uint8_t)text[i] & 0xC0) == 0x80) continue;
        bool cut = digits % 3 == 0 || (whole && i == start);
        digits--;
        if (!cut) continue;
        if (whole && i > start ? sp->keep_matches : sp->keep_gaps) s = add_word(en, out, base + *done, i - *done);
        *done = i;
    }
    if (!whole || s != SL_OK) return s;
    if (sp->keep_matches) s = add_word(en, out, base + *done, stop - *done);
    *done = stop;
    return s;
}

/* Splits one word, which begins at base. */
static sl_status split(sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, size_t base, sl__words *out) {
    size_t done = 0, start, stop;
    sl__dead_end dead = {0};
    sl_status s = SL_OK;
    for (size_t at = 0; at < len && s == SL_OK; at = stop) {
        bool found;
        if (sp->scanner) found = sl__scanner_find(sp->scanner, text, len, at, &dead, &start, &stop);
        else if ((s = sl__pcre_find(en, sp, text, len, at, &found, &start, &stop)) != SL_OK) return s;
        if (!found) break;
        if (sp->cut != SL__CUT_MATCHES) {
            s = cut_number(en, sp, text, start, stop, base, &done, out);
            continue;
        }
        if (sp->keep_gaps) s = add_word(en, out, base + done, start - done);
        if (s == SL_OK && sp->keep_matches) s = add_word(en, out, base + start, stop - start);
        done = stop;
    }
    return s == SL_OK && sp->keep_gaps ? add_word(en, out, base + done, len - done) : s;
}

/* Rewrites one word with U+2581 for spaces, perhaps one in front, and cuts before each. */
static sl_status metaspace(sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, bool first, sl_buffer *to,
                           sl__words *out) {
    size_t start = to->len;
    bool has = text[0] == ' ' || (len >= 3 && memcmp(text, SL__LOW_LINE, 3) == 0);
    if (!has && (sp->prepend == SL__PREPEND_ALWAYS || (sp->prepend == SL__PREPEND_FIRST && first)))
        sl_buffer_append(to, SL__LOW_LINE, 3);
    for (size_t i = 0; i < len;) {
        size_t n = i;
        while (n < len && text[n] != ' ') n++;
        sl_buffer_append(to, text + i, n - i);
        if (n < len) sl_buffer_append(to, SL__LOW_LINE, 3);
        i = n + 1;
    }
    if (to->failed) return sl_fail(en->e, SL_NOMEM, "no memory for text");
    if (!sp->split) return add_word(en, out, start, to->len - start);
    sl_status s = SL_OK;
    for (size_t at = start; at < to->len && s == SL_OK;) {
        const char *next = memmem(to->data + at + 1, to->len - at - 1, SL__LOW_LINE, 3);
        size_t end = next ? (size_t)(next - to->data) : to->len;
        s = add_word(en, out, at, end - at);
        at = end;
    }
    return s;
}

sl_status sl__split_words(sl__encoder *en, const char **ret_text, size_t len, bool first, const sl__words **ret) {
    const char *text = *ret_text;
    sl__words *in = &en->words[0], *out = &en->words[1];
    sl_status s;
    in->count = 0;
    if ((s = add_word(en, in, 0, len)) != SL_OK) return s;
    for (int i = 0; i < en->t->splitters; i++) {
        const sl__splitter *sp = &en->t->splitter[i];
        sl_buffer *to = text == en->rewritten[0].data ? &en->rewritten[1] : &en->rewritten[0];
        if (sp->kind != SL__SPLIT) sl_buffer_clear(to);
        out->count = 0;
        for (size_t w = 0; w < in->count && s == SL_OK; w++) {
            sl__text word = in->word[w];
            const char *at = text + word.at;
            switch (sp->kind) {
            case SL__SPLIT: s = split(en, sp, at, word.len, word.at, out); break;
            case SL__METASPACE: s = metaspace(en, sp, at, word.len, first && word.at == 0, to, out); break;
            case SL__PREFIX_SPACE: {
                size_t start = to->len;
                if (at[0] != ' ') sl_buffer_append(to, " ", 1);
                sl_buffer_append(to, at, word.len);
                s = to->failed ? sl_fail(en->e, SL_NOMEM, "no memory for text") : add_word(en, out, start, to->len - start);
                break;
            }
            }
        }
        if (s != SL_OK) return s;
        if (sp->kind != SL__SPLIT) text = to->data;
        sl__words *swap = in;
        in = out;
        out = swap;
    }
    *ret_text = text;
    *ret = in;
    return SL_OK;
}

sl_status sl__pretokenize(sl__encoder *en, const char *text, size_t len, bool first) {
    const sl__words *words;
    sl_status s = sl__split_words(en, &text, len, first, &words);
    for (size_t w = 0; s == SL_OK && w < words->count; w++) s = sl__word(en, text + words->word[w].at, words->word[w].len);
    return s;
}
