/* Splitting patterns that regex.c cannot read, in PCRE2.
 *
 * What PCRE2 reads otherwise than Oniguruma is either translated (\s: PCRE2 adds U+180E) or refused when the file is
 * opened; a pattern of another dialect never gives other words silently. Its Unicode tables are those of the installed
 * library: letters newer than that are no letters to it, which scanners do not suffer from. */
#include "text/internal.h"

#include <string.h>

#define SPACES "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

static sl_status bad_pattern(sl_error *e, const char *origin, const char *pattern, const char *why) {
    return sl_fail(e, SL_UNSUPPORTED, "%s: splitting pattern \"%.200s\": %s", origin, pattern, why);
}

/* Without regard to case Oniguruma takes ß for ss, ﬁ for fi and the like, PCRE2 only a character for a character. Is there
 * anything in the pattern, from its first (?i on, that the two may read otherwise? */
static bool folds_otherwise(const char *pattern, size_t len) {
    static const char *const pairs[] = {"ss", "st", "ff", "fi", "fl"};
    const char *from = memmem(pattern, len, "(?i", 3), *end = pattern + len;
    for (const char *p = from; p && p < end; p++) {
        if ((uint8_t)*p >= 0x80) return true;
        for (size_t i = 0; p + 1 < end && i < sizeof pairs / sizeof *pairs; i++)
            if ((p[0] | 0x20) == pairs[i][0] && (p[1] | 0x20) == pairs[i][1]) return true;
    }
    return false;
}

/* Writes the pattern in PCRE2's dialect. */
static sl_status translate(const char *pattern, size_t len, const char *origin, sl_buffer *out, sl_error *e) {
    bool in_class = false;
    if (folds_otherwise(pattern, len)) return bad_pattern(e, origin, pattern, "letters in it that two cases share are not supported");
    if (memmem(pattern, len, "(?m", 3)) return bad_pattern(e, origin, pattern, "the option m in it is not supported");
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

sl_status sl__pcre_compile(const char *pattern, size_t len, bool literal, const char *origin, pcre2_code **ret, sl_error *e) {
    sl_buffer own = {0};
    sl_status s = SL_OK;
    if (literal) {
        sl_buffer_append(&own, pattern, len);
    } else if ((s = translate(pattern, len, origin, &own, e)) != SL_OK) {
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
        s = bad_pattern(e, origin, pattern, (const char *)why);
        goto fail;
    }
    uint32_t matches_empty = 0;
    pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &matches_empty);
    if (matches_empty) {
        pcre2_code_free(compiled);
        s = bad_pattern(e, origin, pattern, "it may match nothing, which is not supported");
        goto fail;
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it matching is slower, no more */
    *ret = compiled;
fail:
    sl_buffer_done(&own);
    return s;
}

sl_status sl__pcre_find(sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, size_t at, bool *ret_found,
                        size_t *ret_start, size_t *ret_stop) {
    int rc = pcre2_match(sp->code, (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK, en->match, en->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(sp->code, (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, en->match, en->limits);
    *ret_found = rc != PCRE2_ERROR_NOMATCH;
    if (!*ret_found) return SL_OK;
    if (rc < 0) return sl_fail(en->e, SL_UNSUPPORTED, "the splitting pattern \"%.200s\" gives up on this text", sp->pattern);
    const PCRE2_SIZE *hit = pcre2_get_ovector_pointer(en->match);
    *ret_start = hit[0];
    *ret_stop = hit[1];
    return SL_OK;
}
