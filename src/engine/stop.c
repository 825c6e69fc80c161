#include "engine/stop.h"

#include <string.h>

static bool is_hidden(const sl__held *h, size_t i) { return i < h->hidden.len && h->hidden.data[i]; }

typedef enum fit { NO_FIT, BEGINS, FITS } fit;

/* Stop string i against the text from `at`: it does not stand there, its beginning stands at the end, or all of it does and
 * ends before *ret_end. */
static fit fits(const sl__stops *s, int i, const sl__held *h, size_t at, size_t *ret_end) {
    bool all = s->special && s->special[i];
    size_t k = 0;
    if (!all && is_hidden(h, at)) return NO_FIT; /* begins at the next byte that is shown */
    for (; at < h->text.len && k < s->len[i]; at++) {
        if (!all && is_hidden(h, at)) continue;
        if (h->text.data[at] != s->text[i][k++]) return NO_FIT;
    }
    *ret_end = at;
    return k == s->len[i] ? FITS : BEGINS;
}

/* The first match that ends beyond `known`: its number, and the bytes from *ret_at to *ret_end; or -1, and from *ret_at on
 * the text may be the beginning of one. */
static int find(const sl__stops *s, const sl__held *h, size_t known, bool match, size_t *ret_at, size_t *ret_end) {
    size_t open = h->text.len;
    for (size_t at = 0; at < h->text.len; at++) {
        for (int i = 0; i < s->count; i++) {
            fit f = fits(s, i, h, at, ret_end);
            if (f == FITS && match && *ret_end > known) {
                *ret_at = at;
                return i;
            }
            if (f == BEGINS && at < open) open = at;
        }
    }
    *ret_at = open;
    return -1;
}

/* The first n bytes, with what is hidden from byte `from` on. */
static void show(const sl__held *h, size_t n, size_t from, sl_buffer *out) {
    if (!h->hidden.len) {
        sl_buffer_append(out, h->text.data, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (i >= from || !is_hidden(h, i)) sl_buffer_append(out, h->text.data + i, 1);
}

static void consume(sl__held *h, size_t n) {
    sl_buffer_consume(&h->text, n);
    sl_buffer_consume(&h->hidden, n);
}

int sl__stops_feed(const sl__stops *s, sl__held *h, size_t known, bool match, sl_buffer *out) {
    if (h->text.len == known) return -1;
    size_t at = h->text.len, end = 0;
    int found = s->count ? find(s, h, known, match, &at, &end) : -1;
    if (found >= 0 && s->keep) show(h, end, at, out);
    else show(h, at, at, out);
    consume(h, found >= 0 ? h->text.len : at);
    return found;
}

void sl__held_hide(sl__held *h, const char *text, size_t len) {
    while (h->hidden.len < h->text.len && !h->hidden.failed) sl_buffer_append(&h->hidden, "", 1);
    sl_buffer_append(&h->text, text, len);
    while (h->hidden.len < h->text.len && !h->hidden.failed) sl_buffer_append(&h->hidden, "\1", 1);
}

void sl__held_flush(sl__held *h, sl_buffer *out) {
    show(h, h->text.len, h->text.len, out);
    consume(h, h->text.len);
}

void sl__held_done(sl__held *h) {
    sl_buffer_done(&h->text);
    sl_buffer_done(&h->hidden);
}
