#include "text/internal.h"

#include <string.h>

sl__utf8 sl__utf8_next(const char *text, size_t len, int *ret_len) {
    const uint8_t *p = (const uint8_t *)text;
    uint8_t lo = 0x80, hi = 0xBF; /* of the second byte */
    int need;
    *ret_len = 1;
    if (p[0] < 0x80) return SL__UTF8_GOOD;
    if (p[0] < 0xC2 || p[0] > 0xF4) return SL__UTF8_BAD;
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
        if ((size_t)i >= len) return SL__UTF8_SHORT;
        if (p[i] < lo || p[i] > hi) return SL__UTF8_BAD;
    }
    *ret_len = need;
    return SL__UTF8_GOOD;
}

size_t sl__utf8_valid(const char *text, size_t len) {
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        if (len - i >= 8 && (memcpy(&word, text + i, 8), !(word & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        int n;
        if (sl__utf8_next(text + i, len - i, &n) != SL__UTF8_GOOD) break;
        i += (size_t)n;
    }
    return i;
}

uint32_t sl__utf8_point(const char *text) {
    const uint8_t *p = (const uint8_t *)text;
    if (p[0] < 0x80) return p[0];
    if (p[0] < 0xE0) return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    if (p[0] < 0xF0) return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

void sl__utf8_repair(const char *text, size_t len, sl_buffer *out) {
    while (len) {
        size_t good = sl__utf8_valid(text, len);
        sl_buffer_append(out, text, good);
        text += good;
        len -= good;
        if (!len) break;
        int bad;
        sl__utf8_next(text, len, &bad);
        sl_buffer_append(out, SL__REPLACEMENT, 3);
        text += bad;
        len -= (size_t)bad;
    }
}

/* The alphabet: 0x21–0x7E, 0xA1–0xAC and 0xAE–0xFF are the characters of those numbers, the other 68 bytes, in ascending
 * order, U+0100 and up. */
static bool is_itself(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

static int alphabet_byte(uint32_t point) {
    if (point < 0x100) return is_itself(point) ? (int)point : -1;
    uint32_t n = point - 0x100;
    if (n < 0x21) return (int)n;                           /* 0x00–0x20 */
    if (n < 0x21 + 0x22) return (int)(n - 0x21 + 0x7F);    /* 0x7F–0xA0 */
    return n == 0x21 + 0x22 ? 0xAD : -1;
}

bool sl__alphabet_decode(const char *text, size_t len, char *out, size_t *ret_len) {
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        int step;
        if (sl__utf8_next(text + i, len - i, &step) != SL__UTF8_GOOD) return false;
        int byte = alphabet_byte(sl__utf8_point(text + i));
        if (byte < 0) return false;
        out[n++] = (char)byte;
        i += (size_t)step;
    }
    *ret_len = n;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

int sl__byte_name(const char *text, size_t len) {
    if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool sl__byte_upper(const char *name) {
    return !(name[3] >= 'a' && name[3] <= 'f') && !(name[4] >= 'a' && name[4] <= 'f');
}
