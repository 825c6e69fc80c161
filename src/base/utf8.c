/* utf8.c: characters, and how they look inside a JSON string. */
#include "base/utf8.h"

#include "base/internal.h"

#include <string.h>

sl_utf8 sl_utf8_next(const char *text, size_t len, int *ret_len) {
    const uint8_t *p = (const uint8_t *)text;
    uint8_t lo = 0x80, hi = 0xBF; /* of the second byte */
    int need;
    *ret_len = 1;
    if (p[0] < 0x80) return SL_UTF8_GOOD;
    if (p[0] < 0xC2 || p[0] > 0xF4) return SL_UTF8_BAD;
    if (p[0] < 0xE0) {
        need = 2;
    } else if (p[0] < 0xF0) {
        need = 3;
        if (p[0] == 0xE0) lo = 0xA0;
        if (p[0] == 0xED) hi = 0x9F; /* surrogates */
    } else {
        need = 4;
        if (p[0] == 0xF0) lo = 0x90;
        if (p[0] == 0xF4) hi = 0x8F;
    }
    for (int i = 1; i < need; i++, lo = 0x80, hi = 0xBF) {
        *ret_len = i;
        if ((size_t)i >= len) return SL_UTF8_SHORT;
        if (p[i] < lo || p[i] > hi) return SL_UTF8_BAD;
    }
    *ret_len = need;
    return SL_UTF8_GOOD;
}

size_t sl_utf8_prefix(const char *text, size_t len) {
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        if (len - i >= 8 && (memcpy(&word, text + i, 8), !(word & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        int n;
        if (sl_utf8_next(text + i, len - i, &n) != SL_UTF8_GOOD) break;
        i += (size_t)n;
    }
    return i;
}

uint32_t sl_utf8_point(const char *text) {
    const uint8_t *p = (const uint8_t *)text;
    if (p[0] < 0x80) return p[0];
    if (p[0] < 0xE0) return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    if (p[0] < 0xF0) return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

size_t sl__utf8_char(const char *text, size_t n) {
    int len;
    return n && sl_utf8_next(text, n, &len) == SL_UTF8_GOOD ? (size_t)len : 0;
}

bool sl_utf8_valid(const char *text, size_t len) { return sl_utf8_prefix(text, len) == len; }

size_t sl_utf8_count(const char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* U+0085, U+2028 and U+2029: ends of a line to Unicode, not to JSON. Readers that cut a stream of events into lines as
 * Unicode says (httpx does) would cut an event there. */
static bool breaks_line(const char *s, size_t len) {
    return (len == 2 && !memcmp(s, "\xC2\x85", 2)) ||
           (len == 3 && (!memcmp(s, "\xE2\x80\xA8", 3) || !memcmp(s, "\xE2\x80\xA9", 3)));
}

size_t sl__json_escape(const char *s, size_t n, char ret[SL__ESCAPE_MAX], size_t *ret_len) {
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)s[0];
    size_t used = sl__utf8_char(s, n);
    if (!used) {
        memcpy(ret, "\xEF\xBF\xBD", 3);
        *ret_len = 3;
        return 1;
    }
    char short_form = c == '"'    ? '"'
                      : c == '\\' ? '\\'
                      : c == '\n' ? 'n'
                      : c == '\r' ? 'r'
                      : c == '\t' ? 't'
                      : c == '\b' ? 'b'
                      : c == '\f' ? 'f'
                                  : 0;
    if (short_form) {
        ret[0] = '\\';
        ret[1] = short_form;
        *ret_len = 2;
    } else if (c < 0x20 || c == 0x7F || breaks_line(s, used)) {
        unsigned point = used == 1 ? c : used == 2 ? 0x85 : 0x2000 | ((unsigned char)s[2] & 0x3F);
        memcpy(ret, "\\u", 2);
        for (int i = 0; i < 4; i++) ret[2 + i] = hex[point >> (12 - 4 * i) & 15];
        *ret_len = 6;
    } else {
        memcpy(ret, s, used);
        *ret_len = used;
    }
    return used;
}
