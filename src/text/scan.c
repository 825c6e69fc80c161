/* Walks a text with a scanner's table. From each start the automaton runs until no way is left, and the last match that it
 * met counts; so it may read beyond the match, `\s*[\r\n]+` for one over all spaces in search of a line feed. A run that
 * ended without one is remembered (sl__dead_end) and not read again by the next search: time stays linear. */
#include "text/scanner.h"

#define START 1u

/* The class of the code point at text, which has *ret_len bytes. */
static inline uint32_t class_of(const sl__points *classes, const char *text, size_t *ret_len) {
    const uint8_t *p = (const uint8_t *)text;
    if (p[0] < 0x80) {
        *ret_len = 1;
        return sl__points_at(classes, p[0]);
    }
    if (p[0] < 0xE0) {
        *ret_len = 2;
        return sl__points_at(classes, (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu));
    }
    if (p[0] < 0xF0) {
        *ret_len = 3;
        return sl__points_at(classes, (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu));
    }
    *ret_len = 4;
    return sl__points_at(classes, (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu));
}

/* Where the match that begins at `start` ends; start: there is none. */
static size_t match(const sl__scanner *s, const char *text, size_t len, size_t start, sl__dead_end *dead) {
    uint32_t state = START;
    size_t stop = start, since = start; /* since: the state is the same from there on */
    for (size_t at = start, n;; at += n) {
        uint32_t class = s->stride - 1;
        n = 0;
        if (at < len) class = class_of(s->classes, text + at, &n);
        uint32_t step = s->next[state * s->stride + class], next = step & ~SL__FOUND;
        if (step & SL__FOUND) stop = at;
        if (!next) {
            if (since < at && stop < at) *dead = (sl__dead_end){state, stop >= since ? stop + 1 : since, at};
            return stop;
        }
        if (next != state) {
            state = next;
            since = at + n;
        } else if (state == dead->state && at + n >= dead->from && at + n <= dead->to) {
            return stop;
        }
    }
}

bool sl__scanner_find(const sl__scanner *s, const char *text, size_t len, size_t at, sl__dead_end *dead, size_t *ret_start,
                      size_t *ret_stop) {
    while (at < len) {
        size_t bytes, stop = at;
        uint32_t class = class_of(s->classes, text + at, &bytes);
        if (s->next[START * s->stride + class]) stop = match(s, text, len, at, dead); /* something may begin here */
        if (stop > at) {
            *ret_start = at;
            *ret_stop = stop;
            return true;
        }
        at += bytes;
    }
    return false;
}
