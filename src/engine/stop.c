#include "engine/stop.h"

#include <string.h>

/* The earliest match in held that ends beyond `known`: its number and place, or -1. */
static int find(const sl__stops *s, const sl_buffer *held, size_t known, size_t *ret_at) {
    int best = -1;
    size_t best_at = 0;
    for (int i = 0; i < s->count; i++) {
        size_t from = known + 1 > s->len[i] ? known + 1 - s->len[i] : 0;
        const char *hit = memmem(held->data + from, held->len - from, s->text[i], s->len[i]);
        size_t at = hit ? (size_t)(hit - held->data) : 0;
        if (hit && (best < 0 || at < best_at)) best = i, best_at = at;
    }
    *ret_at = best_at;
    return best;
}

/* Bytes at the end of held that could be the beginning of a stop string. */
static size_t undecided(const sl__stops *s, const sl_buffer *held) {
    size_t most = s->longest - 1 < held->len ? s->longest - 1 : held->len;
    for (size_t n = most; n > 0; n--)
        for (int i = 0; i < s->count; i++)
            if (n < s->len[i] && !memcmp(held->data + held->len - n, s->text[i], n)) return n;
    return 0;
}

int sl__stops_feed(const sl__stops *s, sl_buffer *held, size_t known, bool match, sl_buffer *out) {
    if (held->len == known) return -1;
    size_t at, show = held->len;
    int found = match && s->count ? find(s, held, known, &at) : -1;
    if (found >= 0) show = at + (s->keep ? s->len[found] : 0);
    else if (s->count) show -= undecided(s, held);
    sl_buffer_append(out, held->data, show);
    if (found >= 0) sl_buffer_clear(held);
    else sl_buffer_consume(held, show);
    return found;
}
