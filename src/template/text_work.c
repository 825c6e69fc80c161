/* text_work.c: cutting, joining and searching strings. What comes out keeps where each of its characters came from. */
#include "template/internal.h"

static size_t char_before(const char *text, size_t at) {
    do at--;
    while (at && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* Is the character at text one of chars (NULL: white space)? */
static bool strips(const char *text, size_t n, const sl__string *chars) {
    size_t len;
    if (!chars) return sl__is_space_at(text, n, &len);
    sl__point(text, n, &len);
    const char *set = sl__bytes(chars);
    for (size_t at = 0, step; at < chars->len; at += step) {
        sl__point(set + at, chars->len - at, &step);
        if (step == len && memcmp(set + at, text, len) == 0) return true;
    }
    return false;
}

bool sl__strip(sl__render *r, const sl__string *s, const sl__string *chars, sl__side side, sl__value *ret) {
    const char *text = sl__bytes(s);
    size_t from = 0, to = s->len, n;
    while ((side & SL__LEFT) && from < to && strips(text + from, to - from, chars)) from += (sl__point(text + from, to - from, &n), n);
    while ((side & SL__RIGHT) && to > from) {
        size_t at = char_before(text, to);
        if (!strips(text + at, to - at, chars)) break;
        to = at;
    }
    return sl__charge(r, (s->len - (to - from)) * (chars ? chars->len + 1 : 1)) && sl__part(r, s, from, to - from, ret);
}

bool sl__replace(sl__render *r, const sl__string *s, const sl__string *old, const sl__string *fresh, int64_t count, sl__value *ret) {
    sl__store *to = sl__store_new(r, s->len);
    if (!to || !sl__charge(r, s->len)) return false;
    const char *text = sl__bytes(s);
    size_t at = 0;
    if (!old->len) { /* between all characters */
        for (; count != 0; count--) {
            size_t n = 0;
            if (!sl__put_whole(r, to, fresh) || !sl__step(r)) return false;
            if (at == s->len) return sl__finish(r, to, ret);
            sl__point(text + at, s->len - at, &n);
            if (!sl__put_part(r, to, s, at, n)) return false;
            at += n;
        }
    } else {
        for (; count != 0; count--) {
            size_t found = sl__find(s, at, s->len, old);
            if (found == SIZE_MAX) break;
            if (!sl__step(r) || !sl__put_part(r, to, s, at, found - at) || !sl__put_whole(r, to, fresh)) return false;
            at = found + old->len;
        }
        if (!at) return sl__part(r, s, 0, s->len, ret); /* nothing found */
    }
    return sl__put_part(r, to, s, at, s->len - at) && sl__finish(r, to, ret);
}

static bool push_part(sl__render *r, sl__items *items, const sl__string *s, size_t from, size_t to) {
    sl__value part;
    return sl__part(r, s, from, to - from, &part) && sl__push(r, items, &part);
}

/* Words between runs of white space. */
static bool split_space(sl__render *r, const sl__string *s, int64_t most, sl__items *items) {
    const char *text = sl__bytes(s);
    size_t at = 0, n;
    for (;;) {
        while (at < s->len && sl__is_space_at(text + at, s->len - at, &n)) at += n;
        if (at == s->len) return true;
        size_t from = at;
        if (most >= 0 && (int64_t)items->used == most) return push_part(r, items, s, from, s->len);
        while (at < s->len && !sl__is_space_at(text + at, s->len - at, &n)) at += n;
        if (!push_part(r, items, s, from, at)) return false;
    }
}

static void reverse(sl__items *items) {
    for (size_t i = 0; i < items->used / 2; i++) {
        sl__value v = items->at[i];
        items->at[i] = items->at[items->used - 1 - i];
        items->at[items->used - 1 - i] = v;
    }
}

/* Does white space end at byte `end`? *ret_at is where the character before it begins. */
static bool space_before(const char *text, size_t end, size_t *ret_at) {
    size_t n;
    if (!end) return false;
    *ret_at = char_before(text, end);
    return sl__is_space_at(text + *ret_at, end - *ret_at, &n);
}

static bool split_space_right(sl__render *r, const sl__string *s, int64_t most, sl__items *items) {
    const char *text = sl__bytes(s);
    size_t end = s->len, at = 0;
    for (;;) {
        while (space_before(text, end, &at)) end = at;
        if (!end) break;
        size_t to = end;
        if (most >= 0 && (int64_t)items->used == most) {
            if (!push_part(r, items, s, 0, to)) return false;
            break;
        }
        while (end && !space_before(text, end, &at)) end = at;
        if (!push_part(r, items, s, end, to)) return false;
    }
    reverse(items);
    return true;
}

bool sl__split(sl__render *r, const sl__string *s, const sl__string *separator, int64_t most, bool from_right, sl__value *ret) {
    sl__items *items = sl__items_new(r, 2);
    if (!items || !sl__charge(r, s->len)) return false;
    if (!separator) {
        if (!(from_right ? split_space_right : split_space)(r, s, most, items)) return false;
        return sl__list_of(r, SL__LIST, items, ret);
    }
    if (!separator->len) return sl__raise(r, "empty separator");
    if (from_right) {
        size_t end = s->len, found;
        if (separator->len > 64 && !sl__charge(r, s->len * (separator->len / 64))) return false;
        while ((most < 0 || (int64_t)items->used < most) && (found = sl__find_last(s, 0, end, separator)) != SIZE_MAX) {
            if (!push_part(r, items, s, found + separator->len, end)) return false;
            end = found;
        }
        if (!push_part(r, items, s, 0, end)) return false;
        reverse(items);
    } else {
        size_t at = 0, found;
        while ((most < 0 || (int64_t)items->used < most) && (found = sl__find(s, at, s->len, separator)) != SIZE_MAX) {
            if (!push_part(r, items, s, at, found)) return false;
            at = found + separator->len;
        }
        if (!push_part(r, items, s, at, s->len)) return false;
    }
    return sl__list_of(r, SL__LIST, items, ret);
}

/* Length of the line end at text; 0: none. */
static size_t line_end(const char *text, size_t len) {
    size_t n;
    if (text[0] == '\r' && len > 1 && text[1] == '\n') return 2;
    uint32_t p = sl__point(text, len, &n);
    return (p >= 10 && p <= 13) || (p >= 0x1C && p <= 0x1E) || p == 0x85 || p == 0x2028 || p == 0x2029 ? n : 0;
}

bool sl__split_lines(sl__render *r, const sl__string *s, bool keep, sl__value *ret) {
    sl__items *items = sl__items_new(r, 4);
    if (!items || !sl__charge(r, s->len)) return false;
    const char *text = sl__bytes(s);
    size_t from = 0, at = 0;
    while (at < s->len) {
        size_t end = line_end(text + at, s->len - at), n = 1;
        if (!end) {
            sl__point(text + at, s->len - at, &n);
            at += n;
            continue;
        }
        if (!push_part(r, items, s, from, keep ? at + end : at)) return false;
        from = at += end;
    }
    if (from < s->len && !push_part(r, items, s, from, s->len)) return false;
    return sl__list_of(r, SL__LIST, items, ret);
}

bool sl__pad(sl__render *r, const sl__string *s, int64_t width, const sl__string *fill, sl__side side, sl__value *ret) {
    int64_t chars = (int64_t)sl__chars(s), missing = width - chars;
    if (missing <= 0) return sl__part(r, s, 0, s->len, ret);
    if (fill && sl__chars(fill) != 1) return sl__raise(r, "The fill character must be exactly one character long");
    /* center puts the odd one as Python does */
    int64_t left = side == SL__LEFT ? missing : side == SL__RIGHT ? 0 : missing / 2 + (missing & width & 1);
    sl__store *to = sl__store_new(r, 0);
    if (!to) return false;
    for (int64_t i = 0; i <= missing; i++) {
        if (i == left && !sl__put_whole(r, to, s)) return false;
        if (i == missing) break;
        if (!sl__step(r) || !(fill ? sl__put_whole(r, to, fill) : sl__put(r, to, " ", 1, false))) return false;
    }
    return sl__finish(r, to, ret);
}

bool sl__change_case(sl__render *r, const sl__string *s, sl__case how, sl__value *ret) {
    sl__store *to = sl__store_new(r, s->len);
    if (!to || !sl__charge(r, s->len)) return false;
    const char *text = sl__bytes(s);
    bool inside = false; /* a word; for CAPITAL: not the first character */
    for (size_t at = 0, n; at < s->len; at += n) {
        uint32_t point = sl__point(text + at, s->len - at, &n), as[3];
        sl__case now = how;
        if (how == SL__TITLE || how == SL__CAPITAL) now = inside ? SL__LOWER : SL__TITLE;
        if (how == SL__SWAP) now = sl__in_class(point, SL__IS_UPPER) ? SL__LOWER : SL__UPPER;
        if (how == SL__CAPITAL) inside = true;
        if (how == SL__TITLE) inside = sl__in_class(point, SL__CASED);
        int count = sl__map_case(point, now, as);
        if (now == SL__LOWER && point == 0x3A3) { /* final sigma: behind a cased letter and before none */
            size_t before = at, after = at + n, step = 0;
            bool cased = false;
            while (before && !cased) {
                before = char_before(text, before);
                uint32_t p = sl__point(text + before, s->len - before, &step);
                if (!sl__in_class(p, SL__IGNORABLE)) {
                    cased = sl__in_class(p, SL__CASED);
                    break;
                }
            }
            while (cased && after < s->len) {
                uint32_t p = sl__point(text + after, s->len - after, &step);
                after += step;
                if (sl__in_class(p, SL__IGNORABLE)) continue;
                if (sl__in_class(p, SL__CASED)) cased = false;
                break;
            }
            as[0] = cased ? 0x3C2 : 0x3C3;
            count = 1;
        }
        char bytes[12];
        size_t len = 0;
        for (int i = 0; i < count; i++) len += sl__utf8(as[i], bytes + len);
        if (!sl__put(r, to, bytes, len, sl__content_at(s, at))) return false;
    }
    return sl__finish(r, to, ret);
}
