/* unicode.c: what Python's str knows about code points, from tables that tests/reference/templates/unicode.py made. */
#include "template/unicode.h"

#include "template/internal.h"

static bool in_ranges(const sl__span *span, size_t count, uint32_t point) {
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (span[mid].last < point) lo = mid + 1;
        else hi = mid;
    }
    return lo < count && span[lo].first <= point;
}

bool sl__in_class(uint32_t point, sl__class c) {
    if (point < 0x80) { /* most of what templates ask about */
        bool upper = point >= 'A' && point <= 'Z', lower = point >= 'a' && point <= 'z', digit = point >= '0' && point <= '9';
        switch (c) {
        case SL__ALPHA: case SL__CASED: return upper || lower;
        case SL__DECIMAL: case SL__DIGIT: case SL__NUMERIC: return digit;
        case SL__PRINTABLE: return point >= 0x20 && point < 0x7F;
        case SL__IS_UPPER: return upper;
        case SL__IS_LOWER: return lower;
        case SL__WORD_START: return upper || lower || point == '_';
        case SL__WORD_PART: return upper || lower || digit || point == '_';
        default: return point == '\'' || point == '.' || point == ':' || point == '^' || point == '`';
        }
    }
    if (c == SL__WORD_START) c = SL__ALPHA; /* of names in templates: near enough to str.isidentifier() */
    if (c == SL__WORD_PART) return sl__in_class(point, SL__ALPHA) || sl__in_class(point, SL__DECIMAL);
    return in_ranges(sl__class_spans[c], sl__class_counts[c], point);
}

static bool special(uint32_t point, sl__case how, uint32_t ret[3], int *ret_count) {
    for (size_t lo = 0, hi = sl__special_count; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const sl__special *s = &sl__specials[mid];
        if (s->point == point && s->how == (uint8_t)how) {
            for (*ret_count = 0; *ret_count < 3 && s->as[*ret_count]; ++*ret_count) ret[*ret_count] = s->as[*ret_count];
            return true;
        }
        if (s->point < point || (s->point == point && s->how < (uint8_t)how)) lo = mid + 1;
        else hi = mid;
    }
    return false;
}

static bool shifted(uint32_t point, sl__case how, uint32_t *ret) {
    const sl__shift *shift = sl__case_shifts[how];
    for (size_t lo = 0, hi = sl__case_counts[how]; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const sl__shift *s = &shift[mid];
        if (s->first <= point && point <= s->last) {
            if ((point - s->first) % s->step != 0) return false;
            *ret = (uint32_t)((int64_t)point + s->by);
            return true;
        }
        if (s->last < point) lo = mid + 1;
        else hi = mid;
    }
    return false;
}

int sl__map_case(uint32_t point, sl__case how, uint32_t ret[3]) {
    ret[0] = point;
    if (point < 0x80) {
        if (how == SL__LOWER || how == SL__FOLD) ret[0] = point >= 'A' && point <= 'Z' ? point + 32 : point;
        else ret[0] = point >= 'a' && point <= 'z' ? point - 32 : point;
        return 1;
    }
    int count = 1;
    if (special(point, how, ret, &count) || shifted(point, how, ret)) return count;
    if (how == SL__TITLE) shifted(point, SL__UPPER, ret); /* the same but for a few */
    if (how == SL__FOLD) shifted(point, SL__LOWER, ret);
    return 1;
}

bool sl__is_space_at(const char *text, size_t len, size_t *ret_len) {
    unsigned char c = (unsigned char)text[0];
    *ret_len = 1;
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    uint32_t p = sl__point(text, len, ret_len);
    return p == 0x85 || p == 0xA0 || p == 0x1680 || (p >= 0x2000 && p <= 0x200A) || p == 0x2028 || p == 0x2029 || p == 0x202F ||
           p == 0x205F || p == 0x3000;
}
