/* How vocabularies spell bytes: GPT-2's alphabet, in which every byte is a printable character (a space is U+0120, Ġ), and
 * SentencePiece's names of bytes (<0x0A>). */
#include "text/internal.h"

#include <string.h>

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
        if (sl_utf8_next(text + i, len - i, &step) != SL_UTF8_GOOD) return false;
        int byte = alphabet_byte(sl_utf8_point(text + i));
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
