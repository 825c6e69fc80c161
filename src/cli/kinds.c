#include "cli/kinds.h"

#include "base/utf8.h"

#include <string.h>

const char *const sl_kind_names[SL_KINDS] = {
#define X(name, text) text,
    SL_KIND_MAP(X)
#undef X
};

static bool between(uint32_t c, uint32_t low, uint32_t high) { return c >= low && c <= high; }

static bool is_letter(uint32_t c) {
    if (c < 0x80) return between(c | 0x20, 'a', 'z');
    return c != 0xd7 && c != 0xf7 && !between(c, 0x80, 0xbf) && !between(c, 0x2000, 0x2bff) && !between(c, 0x2e00, 0x2e7f) &&
           !between(c, 0x3000, 0x303f) && !between(c, 0xfe00, 0xfe6f) && !between(c, 0xff00, 0xff0f) && c != 0xfffd && c < 0x1f000;
}

/* Latin, Greek and Cyrillic, but for extended Latin, where case alternates. */
static bool is_capital(uint32_t c) {
    return between(c, 'A', 'Z') || (between(c, 0xc0, 0xde) && c != 0xd7) || between(c, 0x391, 0x3a9) || between(c, 0x400, 0x42f);
}

sl_kind sl_kind_of(const char *text, size_t len, bool special) {
    size_t from = 0, letters = 0;
    int n;
    if (special) return SL_KIND_SPECIAL;
    while (from < len && strchr(" \t\r\n\f\v", text[from]) && text[from]) from++;
    if (from == len) return SL_KIND_BLANK;
    if (sl_utf8_next(text + from, len - from, &n) != SL_UTF8_GOOD) return SL_KIND_BYTES;
    uint32_t first = sl_utf8_point(text + from);
    if (between(first, '0', '9')) return SL_KIND_NUMBER;
    if (!is_letter(first)) return SL_KIND_PUNCTUATION;
    if (is_capital(first)) return SL_KIND_CAPITAL;
    if (!from) return SL_KIND_PART;
    for (size_t i = from; i < len; i += (size_t)n) {
        sl_utf8_next(text + i, len - i, &n);
        letters++;
    }
    return letters <= 3 ? SL_KIND_SMALL : SL_KIND_WORD;
}
