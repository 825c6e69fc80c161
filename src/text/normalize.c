/* The steps that rewrite text before it is split.
 *
 * Unicode's forms are libunistring's, and its Unicode version is whatever is installed, while the tokenizers package
 * normalises by Unicode 9.0 and leaves newer characters where they are. What was assigned by then never changes; so the
 * text is cut at every newer character (sl__unmoved) and only what lies between is normalised. Such a character is one that
 * nothing moves across and nothing joins, so the parts make up the whole, with any libunistring from Unicode 9.0 on. */
#include "text/internal.h"

#include "base/utf8.h"
#include "text/scanner.h"

#include <stdlib.h>
#include <string.h>
#include <uninorm.h>

/* Every character below U+0300, whose first byte is 0xCC, is its own NFC and never combines with the one before it. */
static bool may_change(const char *text, size_t len, bool composed) {
    uint8_t least = composed ? 0xCC : 0x80;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] >= least) return true;
    return false;
}

/* The first code point of text[at … len) that normalising leaves where it is, or len. *ret_len: its bytes. Points of
 * [*lo, *hi] are known to be none: a text stays in few such ranges. */
static size_t next_unmoved(const char *text, size_t len, size_t at, uint32_t *lo, uint32_t *hi, int *ret_len) {
    for (; at < len; at += (size_t)*ret_len) {
        sl_utf8_next(text + at, len - at, ret_len);
        uint32_t c = sl_utf8_point(text + at);
        if (*lo <= c && c <= *hi) continue;
        size_t low = 0, high = sl__unmoved_count; /* the first range that does not end before c */
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (sl__unmoved[middle].hi < c) low = middle + 1;
            else high = middle;
        }
        if (low < sl__unmoved_count && sl__unmoved[low].lo <= c) break;
        *lo = low ? sl__unmoved[low - 1].hi + 1 : 0;
        *hi = low < sl__unmoved_count ? sl__unmoved[low].lo - 1 : SL__POINT_END - 1;
    }
    return at;
}

static sl_status unicode_form(uninorm_t form, bool composed, const char **text, size_t *len, sl_buffer *out, sl_error *e) {
    if (!may_change(*text, *len, composed)) return SL_OK;
    uint32_t lo = 0, hi = 0;
    for (size_t at = 0; at < *len;) {
        int bytes = 0;
        size_t n = 0, stop = next_unmoved(*text, *len, at, &lo, &hi, &bytes);
        if (stop > at) {
            uint8_t *normal = u8_normalize(form, (const uint8_t *)*text + at, stop - at, NULL, &n);
            if (!normal) return sl_fail(e, SL_NOMEM, "no memory to normalise %zu bytes of text", *len);
            sl_buffer_append(out, normal, n);
            free(normal);
        }
        if (stop < *len) sl_buffer_append(out, *text + stop, (size_t)bytes);
        at = stop + (stop < *len ? (size_t)bytes : 0);
    }
    *text = out->data;
    *len = out->len;
    return SL_OK;
}

static void replace(const sl__normalizer *step, const char **text, size_t *len, sl_buffer *out) {
    const char *p = *text, *end = p + *len, *hit = memmem(p, *len, step->from, step->from_len);
    if (!hit) return;
    sl_buffer_reserve(out, *len + *len / 2);
    for (; hit; hit = memmem(p, (size_t)(end - p), step->from, step->from_len)) {
        sl_buffer_append(out, p, (size_t)(hit - p));
        sl_buffer_append(out, step->to, step->to_len);
        p = hit + step->from_len;
    }
    sl_buffer_append(out, p, (size_t)(end - p));
    *text = out->data;
    *len = out->len;
}

sl_status sl__normalize(const sl__normalizer *steps, int count, const char *text, size_t len, sl_buffer buffers[2],
                        const char **ret, size_t *ret_len, sl_error *e) {
    for (int i = 0; i < count && len; i++) {
        const sl__normalizer *step = &steps[i];
        sl_buffer *out = text == buffers[0].data ? &buffers[1] : &buffers[0];
        sl_status s = SL_OK;
        sl_buffer_clear(out);
        switch (step->kind) {
        case SL__NFC: s = unicode_form(UNINORM_NFC, true, &text, &len, out, e); break;
        case SL__NFD: s = unicode_form(UNINORM_NFD, false, &text, &len, out, e); break;
        case SL__NFKC: s = unicode_form(UNINORM_NFKC, false, &text, &len, out, e); break;
        case SL__NFKD: s = unicode_form(UNINORM_NFKD, false, &text, &len, out, e); break;
        case SL__PREPEND:
            sl_buffer_append(out, step->to, step->to_len);
            sl_buffer_append(out, text, len);
            text = out->data;
            len = out->len;
            break;
        case SL__REPLACE: replace(step, &text, &len, out); break;
        }
        if (s != SL_OK) return s;
        if (out->failed) return sl_fail(e, SL_NOMEM, "no memory to normalise text");
    }
    *ret = text;
    *ret_len = len;
    return SL_OK;
}
