/* From ids to text, as far as it is certain: bytes that may still become a character are held back. */
#include "text/internal.h"

#include <string.h>

static sl__text piece_of(const sl_tokenizer *t, int id) {
    if (id < 0 || id >= t->vocabulary.count) return (sl__text){0};
    return t->vocabulary.piece[id];
}

void sl_tokenizer_piece(const sl_tokenizer *t, int id, sl_buffer *out) {
    sl__text piece = piece_of(t, id);
    sl_buffer_append(out, sl__vocabulary_text(&t->vocabulary, piece), piece.len);
}

/* U+FFFD for bytes that are no character. */
static void give_up(int bytes, bool repair_bytes, sl_buffer *out) {
    for (int i = 0; i < (repair_bytes ? bytes : 1); i++) sl_buffer_append(out, SL__REPLACEMENT, 3);
}

/* Adds bytes to what is held back until they are a character or can be none. Returns how many were taken. */
static size_t complete(sl_detokenizer *d, const char *bytes, size_t len, sl_buffer *out) {
    size_t taken = 0;
    while (d->held_len && taken < len) {
        d->held[d->held_len] = (uint8_t)bytes[taken];
        int n;
        sl_utf8 what = sl_utf8_next((const char *)d->held, d->held_len + 1u, &n);
        if (what == SL_UTF8_BAD) { /* the held bytes can become no character; the new byte may begin one */
            give_up(d->held_len, d->repair_bytes, out);
            d->held_len = 0;
            return taken;
        }
        taken++;
        d->held_len++;
        if (what == SL_UTF8_GOOD) {
            sl_buffer_append(out, d->held, d->held_len);
            d->held_len = 0;
        }
    }
    return taken;
}

static void feed(sl_detokenizer *d, const char *bytes, size_t len, sl_buffer *out) {
    size_t i = complete(d, bytes, len, out);
    while (i < len) {
        size_t good = sl_utf8_prefix(bytes + i, len - i);
        sl_buffer_append(out, bytes + i, good);
        i += good;
        if (i == len) break;
        int n;
        if (sl_utf8_next(bytes + i, len - i, &n) == SL_UTF8_SHORT) {
            memcpy(d->held, bytes + i, len - i);
            d->held_len = (uint8_t)(len - i);
            return;
        }
        give_up(n, d->repair_bytes, out);
        i += (size_t)n;
    }
}

void sl_detokenize(const sl_tokenizer *t, sl_detokenizer *d, int id, bool skip_special, sl_buffer *out) {
    if (skip_special && sl_tokenizer_special(t, id)) return;
    sl__text piece = piece_of(t, id);
    const char *bytes = sl__vocabulary_text(&t->vocabulary, piece);
    size_t len = piece.len;
    d->repair_bytes = t->repair_bytes;
    if (!d->started && len) {
        d->started = true;
        size_t strip = t->strip == SL__STRIP_NONE ? 0 : t->strip == SL__STRIP_ONE ? 1 : len;
        for (; strip && len && bytes[0] == ' '; strip--, bytes++) len--;
    }
    feed(d, bytes, len, out);
}

size_t sl_detokenize_broken(const sl_tokenizer *t, const sl_detokenizer *d, int id, bool skip_special) {
    if (!d->held_len || (id >= 0 && skip_special && sl_tokenizer_special(t, id))) return 0;
    sl__text piece = id < 0 ? (sl__text){0} : piece_of(t, id);
    if (id >= 0 && piece.len == 0) return 0;
    char both[5];
    int n;
    memcpy(both, d->held, d->held_len);
    if (piece.len) {
        both[d->held_len] = sl__vocabulary_text(&t->vocabulary, piece)[0];
        if (sl_utf8_next(both, d->held_len + 1u, &n) != SL_UTF8_BAD) return 0;
    }
    return d->repair_bytes ? d->held_len : 1;
}

void sl_detokenize_end(sl_detokenizer *d, sl_buffer *out) {
    if (d->held_len) give_up(d->held_len, d->repair_bytes, out);
    d->held_len = 0;
}

void sl_tokenizer_decode(const sl_tokenizer *t, const int32_t *ids, size_t count, bool skip_special, sl_buffer *out) {
    sl_detokenizer d = {0};
    for (size_t i = 0; i < count; i++) sl_detokenize(t, &d, ids[i], skip_special, out);
    sl_detokenize_end(&d, out);
}
