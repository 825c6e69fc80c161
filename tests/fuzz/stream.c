/* An answer's text on its way out, in pieces: stop strings, thinking split from saying, UTF-8 that may be broken. The first byte cuts the
 * text into pieces, the second has flags; then stop strings up to a newline, one a '|'; the rest is the text. */
#include "base/utf8.h"
#include "chat/think.h"
#include "engine/stop.h"

#include "must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_STOPS 8

typedef struct stops {
    const char *text[MOST_STOPS];
    size_t len[MOST_STOPS];
    sl__stops s;
} stops;

static void read_stops(stops *r, const char *line, size_t len) {
    r->s = (sl__stops){.text = r->text, .len = r->len};
    for (size_t i = 0, from = 0; i <= len && r->s.count < MOST_STOPS; i++) {
        if (i < len && line[i] != '|') continue;
        if (i > from) {
            r->text[r->s.count] = line + from;
            r->len[r->s.count++] = i - from;
        }
        if (i - from > r->s.longest) r->s.longest = i - from;
        from = i + 1;
    }
}

/* Length of the piece that begins at `at`. */
static size_t piece(uint8_t cut, size_t at, size_t len) {
    size_t n = 1 + (cut ^ at * 37) % (cut % 13 + 1u);
    return n < len - at ? n : len - at;
}

/* The stop string that ends beyond `known` and begins first, or -1. */
static int first_match(const sl__stops *s, const char *text, size_t len, size_t known, size_t *ret_at) {
    for (size_t at = 0; at < len; at++)
        for (int i = 0; i < s->count; i++)
            if (len - at >= s->len[i] && at + s->len[i] > known && !memcmp(text + at, s->text[i], s->len[i])) {
                *ret_at = at;
                return i;
            }
    return -1;
}

/* Bytes from which on the text may be the beginning of a stop string. */
static size_t open_end(const sl__stops *s, const char *text, size_t len) {
    for (size_t at = len > s->longest ? len - s->longest : 0; at < len; at++)
        for (int i = 0; i < s->count; i++)
            if (len - at < s->len[i] && !memcmp(text + at, s->text[i], len - at)) return at;
    return len;
}

/* `early`: pieces in which nothing counts, as before min_tokens. */
static void stop(const sl__stops *s, const char *text, size_t len, uint8_t cut, int early) {
    sl__held held = {.text = {0}};
    sl_buffer out = {0};
    for (size_t at = 0, n; at < len; at += n) {
        n = piece(cut, at, len);
        size_t known = held.text.len, begins = 0;
        bool match = early-- <= 0;
        sl_buffer_append(&held.text, text + at, n);
        int found = sl__stops_feed(s, &held, known, match, &out);
        int want = match ? first_match(s, text, at + n, at, &begins) : -1;
        size_t shown = want < 0 ? open_end(s, text, at + n) : s->keep ? begins + s->len[want] : begins;
        must(found == want && out.len == shown && !memcmp(out.data ? out.data : "", text, shown));
        must(found >= 0 ? held.text.len == 0 : out.len + held.text.len == at + n && (!s->count || held.text.len < s->longest));
        if (found >= 0) break;
    }
    sl__held_flush(&held, &out);
    sl__held_done(&held);
    sl_buffer_done(&out);
}

static void split(const sl_marks *m, const char *text, size_t len, uint8_t cut, bool begun) {
    sl_buffer thought[2] = {{0}, {0}}, said[2] = {{0}, {0}};
    for (int whole = 0; whole < 2; whole++) {
        sl_think t = {.stage = begun ? SL_THINK_BEGUN : SL_THINK_UNKNOWN};
        for (size_t at = 0, n; at < len; at += n) {
            n = whole ? len : piece(cut, at, len);
            sl_think_feed(&t, m, text + at, n, &thought[whole], &said[whole]);
            must(t.held_len <= SL_THINK_HELD);
        }
        sl_think_end(&t, &thought[whole], &said[whole]);
    }
    must(thought[0].len == thought[1].len && said[0].len == said[1].len && thought[0].len + said[0].len <= len);
    must(!thought[0].len || !memcmp(thought[0].data, thought[1].data, thought[0].len));
    must(!said[0].len || !memcmp(said[0].data, said[1].data, said[0].len));
    for (int i = 0; i < 2; i++) sl_buffer_done(&thought[i]), sl_buffer_done(&said[i]);
    bool open = false;
    sl_think_left_open(m, text, len, &open);
}

/* What is written is well-formed, keeps what was, and is the same whether a broken part is repaired or escaped for JSON. */
static void mend(const char *text, size_t len) {
    sl_buffer plain = {0}, json = {0};
    size_t good = sl_utf8_prefix(text, len);
    sl_buffer_utf8(&plain, text, len);
    sl_buffer_json(&json, text, len);
    must(!plain.failed && sl_utf8_valid(plain.data ? plain.data : "", plain.len) && sl_utf8_valid(json.data, json.len));
    must(plain.len >= good && (!good || !memcmp(plain.data, text, good)) && (good == len) == sl_utf8_valid(text, len));
    must(sl_utf8_count(plain.data ? plain.data : "", plain.len) <= len);
    for (size_t i = 0; i < json.len; i++) must((unsigned char)json.data[i] >= ' ');
    sl_buffer_done(&plain);
    sl_buffer_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stops r;
    if (size < 2 || size > 2000) return 0; /* the plain search is quadratic */
    const char *line = (const char *)data + 2, *end = memchr(line, '\n', size - 2);
    size_t n = end ? (size_t)(end - line) : 0;
    const char *text = end ? end + 1 : line;
    size_t len = (size_t)((const char *)data + size - text);
    read_stops(&r, line, n);
    r.s.keep = data[1] & 1;
    stop(&r.s, text, len, data[0], data[1] & 2 ? data[0] % 5 : 0);
    for (const sl_marks *m = sl_known_marks; m->open; m++) split(m, text, len, data[0], data[1] & 4);
    mend(text, len);
    return 0;
}
