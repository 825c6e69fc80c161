/* utf8.c: characters, and how they look inside a JSON string. */
#include "base/utf8.h"

#include "base/internal.h"

#include <string.h>

size_t sl__utf8_char(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    if (!n) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    size_t len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (n < len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0; /* overlong */
    if (s[0] == 0xED && s[1] > 0x9F) return 0; /* surrogates */
    if (s[0] == 0xF0 && s[1] < 0x90) return 0; /* overlong */
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0; /* over U+10FFFF */
    return len;
}

bool sl_utf8_valid(const char *text, size_t len) {
    for (size_t i = 0, n; i < len; i += n) {
        n = sl__utf8_char(text + i, len - i);
        if (!n) return false;
    }
    return true;
}

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
