/* From text to words: splitting patterns, SentencePiece's space and GPT-2's leading one.
 *
 * Patterns are Oniguruma's in tokenizer.json and run in PCRE2 here. What the two read differently is either translated
 * (\s: PCRE2 adds U+180E) or refused when the file is opened; a pattern of another dialect never gives other words
 * silently. */
#include "text/internal.h"

#include "base/alloc.h"

#include <string.h>

#define LONGEST_PATTERN 8192
#define SPACES "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

static sl_status bad_pattern(sl_error *e, const char *origin, const char *pattern, const char *why) {
    return sl_fail(e, SL_UNSUPPORTED, "%s: splitting pattern \"%.200s\": %s", origin, pattern, why);
}

/* Writes the pattern in PCRE2's dialect. */
static sl_status translate(const char *pattern, size_t len, const char *origin, sl_buffer *out, sl_error *e) {
    bool in_class = false;
    for (size_t i = 0; i < len; i++) {
        char c = pattern[i], d = i + 1 < len ? pattern[i + 1] : 0;
        if (c == '\\') {
            i++;
            if (d == 's') {
                sl_buffer_puts(out, in_class ? SPACES : "[" SPACES "]");
            } else if (d == 'S' && !in_class) {
                sl_buffer_puts(out, "[^" SPACES "]");
            } else if ((d == 'p' || d == 'P') && i + 1 < len && pattern[i + 1] == '{') {
                const char *end = memchr(pattern + i, '}', len - i);
                if (!end) return bad_pattern(e, origin, pattern, "a property in it does not end");
                sl_buffer_append(out, pattern + i - 1, (size_t)(end - pattern) - i + 2);
                i = (size_t)(end - pattern);
            } else if (d && strchr("rntdD", d)) {
                sl_buffer_append(out, pattern + i - 1, 2);
            } else if (d && (uint8_t)d < 0x80 && !(d >= '0' && d <= '9') && !((d | 32) >= 'a' && (d | 32) <= 'z')) {
                sl_buffer_append(out, pattern + i - 1, 2);
            } else {
                return bad_pattern(e, origin, pattern, "an escape in it is not supported");
            }
            continue;
        }
        if (in_class && c == '&' && d == '&') return bad_pattern(e, origin, pattern, "intersections of classes are not supported");
        if (in_class && c == '[') return bad_pattern(e, origin, pattern, "a class inside a class is not supported");
        if (c == '[') {
            in_class = true;
            sl_buffer_append(out, &c, 1);
            if (d == '^') sl_buffer_append(out, pattern + ++i, 1);
            if (i + 1 < len && pattern[i + 1] == ']') return bad_pattern(e, origin, pattern, "a class that begins with ] is not supported");
            continue;
        }
        if (in_class && c == ']') in_class = false;
        if (!in_class && ((c == '{' && d == ',') || (c == '}' && d == '+')))
            return bad_pattern(e, origin, pattern, "a repetition in it is not supported");
        if (!in_class && c == '(' && d == '*') return bad_pattern(e, origin, pattern, "a verb in it is not supported");
        sl_buffer_append(out, &c, 1);
    }
    return SL_OK;
}

sl_status sl__splitter_compile(sl_arena *a, const char *pattern, size_t len, bool literal, const char *origin,
                               sl__splitter *ret, sl_error *e) {
    sl_buffer own = {0};
    sl_status s = SL_OK;
    const char *kept = sl_arena_copy(a, SL_MEM_VOCABULARY, pattern, len);
    if (!kept) return sl_fail(e, SL_NOMEM, "no memory for a pattern");
    if (!len || len > LONGEST_PATTERN) return bad_pattern(e, origin, kept, "its length is not supported");
    if (literal) {
        sl_buffer_append(&own, pattern, len);
    } else if ((s = translate(kept, len, origin, &own, e)) != SL_OK) {
        goto fail;
    }
    if (own.failed) {
        s = sl_fail(e, SL_NOMEM, "no memory for a pattern");
        goto fail;
    }
    int code;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | (literal ? PCRE2_LITERAL : PCRE2_MULTILINE);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)own.data, own.len, options, &code, &at, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[120] = "";
        pcre2_get_error_message(code, why, sizeof why);
        s = bad_pattern(e, origin, kept, (const char *)why);
        goto fail;
    }
    uint32_t matches_empty = 0;
    pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &matches_empty);
    if (matches_empty) {
        pcre2_code_free(compiled);
        s = bad_pattern(e, origin, kept, "it may match nothing, which is not supported");
        goto fail;
    }
    *ret = (sl__splitter){.kind = SL__SPLIT, .code = compiled, .keep_gaps = true, .keep_matches = true, .pattern = kept};
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it matching is slower, no more */
fail:
    sl_buffer_done(&own);
    return s;
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

static int run_pattern(sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, size_t from) {
    int rc = pcre2_match(sp->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, en->match, en->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(sp->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, en->match, en->limits);
    return rc;
}

/* Splits one word, which begins at base. */
static sl_status split(sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, size_t base, sl__words *out) {
    const PCRE2_SIZE *hit = pcre2_get_ovector_pointer(en->match);
    sl_status s = SL_OK;
    for (size_t done = 0; done < len && s == SL_OK;) {
        int rc = run_pattern(en, sp, text, len, done);
        if (rc == PCRE2_ERROR_NOMATCH) return sp->keep_gaps ? add_word(en, out, base + done, len - done) : SL_OK;
        if (rc < 0) return sl_fail(en->e, SL_UNSUPPORTED, "the splitting pattern \"%.200s\" gives up on this text", sp->pattern);
        if (sp->keep_gaps) s = add_word(en, out, base + done, hit[0] - done);
        if (s == SL_OK && sp->keep_matches) s = add_word(en, out, base + hit[0], hit[1] - hit[0]);
        done = hit[1];
    }
    return s;
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

sl_status sl__pretokenize(sl__encoder *en, const char *text, size_t len, bool first) {
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
    for (size_t w = 0; w < in->count && s == SL_OK; w++) s = sl__word(en, text + in->word[w].at, in->word[w].len);
    return s;
}
