/* text.c: strings: parts of stores, which say of each byte whether it came from the request (values.h). */
#include "template/internal.h"

#include "base/checked.h"
#include "base/utf8.h"

sl__store *sl__store_new(sl__render *r, size_t cap) {
    sl__store *s = sl__take(r, sizeof *s);
    if (!s || (cap && !(s->data = sl__take(r, cap)))) return NULL;
    if (!cap) s->data = (char *)(uintptr_t)""; /* nothing is written where there is no room */
    s->cap = cap;
    return s;
}

/* Room for more bytes behind those in use. What pointed into the old ones stays readable. */
static bool grow(sl__render *r, sl__store *to, size_t more) {
    size_t want, cap;
    if (!sl_add(to->used, more, &want)) return sl__fail(r, SL_TOO_MUCH, "a string is too long");
    if (want <= to->cap) return true;
    if (!sl_add(want, want / 2 + 64, &cap)) return sl__fail(r, SL_TOO_MUCH, "a string is too long");
    char *data = sl__take(r, cap);
    if (!data) return false;
    if (to->used) memcpy(data, to->data, to->used);
    to->data = data;
    to->cap = cap;
    return true;
}

static bool add_run(sl__render *r, sl__store *to, bool content) {
    if (to->runs && to->run[to->runs - 1].content == content) return true;
    if (to->runs == to->run_cap) {
        size_t cap = to->run_cap ? to->run_cap * 2 : 4;
        sl__run *run = sl__take(r, cap * sizeof *run);
        if (!run) return false;
        if (to->runs) memcpy(run, to->run, to->runs * sizeof *run);
        to->run = run;
        to->run_cap = cap;
    }
    to->run[to->runs++] = (sl__run){to->used, content};
    return true;
}

bool sl__put(sl__render *r, sl__store *to, const char *bytes, size_t len, bool content) {
    if (!len) return true;
    if (!sl__charge(r, len) || !grow(r, to, len) || !add_run(r, to, content)) return false;
    memcpy(to->data + to->used, bytes, len);
    to->used += len;
    return true;
}

bool sl__puts(sl__render *r, sl__store *to, const char *text) { return sl__put(r, to, text, strlen(text), false); }

/* The run that byte `at` of the store is in. */
static size_t run_of(const sl__store *s, size_t at) {
    size_t lo = 0, hi = s->runs;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->run[mid].start <= at) lo = mid;
        else hi = mid;
    }
    return lo;
}

bool sl__content_at(const sl__string *s, size_t byte) {
    const sl__store *store = s->store;
    return store->runs && store->run[run_of(store, s->start + byte)].content;
}

bool sl__put_part(sl__render *r, sl__store *to, const sl__string *s, size_t start, size_t len) {
    if (!len) return true;
    const sl__store *from = s->store;
    size_t at = s->start + start, end = at + len, run = run_of(from, at);
    const char *data = from->data;
    size_t runs = from->runs; /* from may be to: what is added must not be copied as well */
    while (at < end) {
        size_t stop = run + 1 < runs && from->run[run + 1].start < end ? from->run[run + 1].start : end;
        if (!sl__put(r, to, data + at, stop - at, from->run[run].content)) return false;
        at = stop;
        run++;
    }
    return true;
}

bool sl__put_whole(sl__render *r, sl__store *to, const sl__string *s) { return sl__put_part(r, to, s, 0, s->len); }

static bool make(sl__render *r, sl__store *store, size_t start, size_t len, size_t chars, sl__value *ret) {
    sl__string *s = sl__take(r, sizeof *s);
    if (!s) return false;
    *s = (sl__string){store, start, len, chars};
    *ret = sl__string_value(s);
    return true;
}

bool sl__finish(sl__render *r, sl__store *store, sl__value *ret) { return make(r, store, 0, store->used, SL__UNCOUNTED, ret); }

bool sl__text(sl__render *r, const char *bytes, size_t len, bool content, sl__value *ret) {
    sl__store *s = sl__store_new(r, len);
    return s && sl__put(r, s, bytes, len, content) && sl__finish(r, s, ret);
}

bool sl__part(sl__render *r, const sl__string *s, size_t start, size_t len, sl__value *ret) {
    if (start == 0 && len == s->len) {
        *ret = sl__string_value(s);
        return true;
    }
    return make(r, s->store, s->start + start, len, s->chars == s->len ? len : SL__UNCOUNTED, ret);
}

bool sl__concat(sl__render *r, const sl__string *a, const sl__string *b, sl__value *ret) {
    if (!a->len || !b->len) {
        *ret = sl__string_value(a->len ? a : b);
        return true;
    }
    size_t chars = a->chars != SL__UNCOUNTED && b->chars != SL__UNCOUNTED ? a->chars + b->chars : SL__UNCOUNTED;
    sl__store *store = a->store;
    if (!store->fixed && a->start + a->len == store->used) /* it ends where its store ends: go on behind it */
        return sl__put_whole(r, store, b) && make(r, store, a->start, a->len + b->len, chars, ret);
    size_t cap;
    if (!sl_add(a->len, b->len, &cap)) return sl__fail(r, SL_TOO_MUCH, "a string is too long");
    store = sl__store_new(r, cap);
    return store && sl__put_whole(r, store, a) && sl__put_whole(r, store, b) && make(r, store, 0, cap, chars, ret);
}

bool sl__escape(sl__render *r, const sl__string *s, sl__value *ret) {
    const char *text = sl__bytes(s);
    sl__store *to = sl__store_new(r, s->len);
    if (!to) return false;
    size_t plain = 0;
    for (size_t i = 0; i <= s->len; i++) {
        const char *as = i == s->len       ? ""
                         : text[i] == '&'  ? "&amp;"
                         : text[i] == '<'  ? "&lt;"
                         : text[i] == '>'  ? "&gt;"
                         : text[i] == '"'  ? "&#34;"
                         : text[i] == '\'' ? "&#39;"
                                           : NULL;
        if (!as) continue;
        if (!sl__put_part(r, to, s, plain, i - plain)) return false;
        if (*as && !sl__put(r, to, as, strlen(as), sl__content_at(s, i))) return false;
        plain = i + 1;
    }
    if (!sl__finish(r, to, ret)) return false;
    ret->safe = true;
    return true;
}

/* Counting twice gives the same, so the count is kept in what is otherwise constant; a template's own are counted. */
size_t sl__chars(const sl__string *s) {
    if (s->chars == SL__UNCOUNTED) ((sl__string *)(uintptr_t)s)->chars = sl_utf8_count(sl__bytes(s), s->len);
    return s->chars;
}

size_t sl__byte_of(const sl__string *s, size_t index) {
    if (index >= sl__chars(s)) return s->len;
    if (s->chars == s->len) return index;
    const unsigned char *text = (const unsigned char *)sl__bytes(s);
    size_t at = 0;
    if (index > s->chars / 2) { /* from the end */
        at = s->len;
        for (size_t left = s->chars - index; left; at--)
            if ((text[at - 1] & 0xC0) != 0x80) left--;
        return at;
    }
    for (; index; index--)
        for (at++; at < s->len && (text[at] & 0xC0) == 0x80;) at++;
    return at;
}

bool sl__slice_string(sl__render *r, const sl__string *s, int64_t start, int64_t step, int64_t count, sl__value *ret) {
    if (!sl__charge(r, s->len)) return false;
    if (count <= 0) return sl__part(r, s, 0, 0, ret);
    if (step == 1) {
        size_t from = sl__byte_of(s, (size_t)start), to = sl__byte_of(s, (size_t)(start + count));
        return sl__part(r, s, from, to - from, ret);
    }
    sl__store *to = sl__store_new(r, 0);
    if (!to) return false;
    const char *text = sl__bytes(s);
    size_t at = sl__byte_of(s, (size_t)start);
    for (int64_t i = 0; i < count; i++) {
        size_t n;
        sl__point(text + at, s->len - at, &n);
        if (!sl__put_part(r, to, s, at, n)) return false;
        if (i + 1 == count) break;
        for (int64_t k = 0; k < step; k++) at += (sl__point(text + at, s->len - at, &n), n);
        for (int64_t k = 0; k > step; k--)
            do at--;
            while (((unsigned char)text[at] & 0xC0) == 0x80);
    }
    return sl__finish(r, to, ret);
}

bool sl__is(const sl__string *s, const char *text) { return s->len == strlen(text) && memcmp(sl__bytes(s), text, s->len) == 0; }

bool sl__same(const sl__string *a, const sl__string *b) {
    return a->len == b->len && (a == b || memcmp(sl__bytes(a), sl__bytes(b), a->len) == 0);
}

size_t sl__utf8(uint32_t point, char ret[4]) {
    if (point < 0x80) return ret[0] = (char)point, 1;
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; point >>= 6) ret[i] = (char)(0x80 | (point & 0x3F));
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    ret[0] = (char)(lead[n] | point);
    return n;
}

uint32_t sl__point(const char *text, size_t left, size_t *ret_len) {
    unsigned char lead = (unsigned char)text[0];
    size_t n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n > left) return *ret_len = left, 0xFFFD;
    *ret_len = n;
    return n == 1 ? lead : sl_utf8_point(text);
}

size_t sl__find(const sl__string *s, size_t from, size_t to, const sl__string *what) {
    if (to > s->len) to = s->len;
    if (from > to || what->len > to - from) return SIZE_MAX;
    if (!what->len) return from;
    const char *text = sl__bytes(s), *found = memmem(text + from, to - from, sl__bytes(what), what->len);
    return found ? (size_t)(found - text) : SIZE_MAX;
}

/* From the right the same as from the left in reversed texts; simple, and bounded by the caller's charge. */
size_t sl__find_last(const sl__string *s, size_t from, size_t to, const sl__string *what) {
    if (to > s->len) to = s->len;
    if (from > to || what->len > to - from) return SIZE_MAX;
    const char *text = sl__bytes(s), *w = sl__bytes(what);
    for (size_t at = to - what->len;; at--) {
        if (!what->len || (text[at] == *w && memcmp(text + at, w, what->len) == 0)) return at;
        if (at == from) return SIZE_MAX;
    }
}

const sl__string *sl__constant(sl_arena *a, const char *text, size_t len) {
    struct {
        sl__string string;
        sl__store store;
        sl__run run;
        char text[];
    } *c;
    size_t size;
    if (!sl_add(sizeof *c + 1, len, &size) || !(c = sl_arena_alloc(a, SL_MEM_VOCABULARY, size))) return NULL;
    if (len) memcpy(c->text, text, len);
    c->store = (sl__store){.data = c->text, .used = len, .cap = len, .run = &c->run, .runs = 1, .run_cap = 1, .fixed = true};
    c->string = (sl__string){&c->store, 0, len, sl_utf8_count(c->text, len)};
    return &c->string;
}
