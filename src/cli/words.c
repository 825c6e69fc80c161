#include "cli/words.h"

#include "base/utf8.h"

#include <string.h>

static bool between(uint32_t c, uint32_t low, uint32_t high) { return c >= low && c <= high; }

/* Controls, and characters that are not seen themselves but change how others are shown. */
static bool hidden(uint32_t c) {
    return c < 0x20 || between(c, 0x7f, 0x9f) || c == 0xad || c == 0x61c || between(c, 0x180b, 0x180e) || between(c, 0x200b, 0x200f) ||
           between(c, 0x2028, 0x202e) || between(c, 0x2060, 0x206f) || between(c, 0xfe00, 0xfe0f) || c == 0xfeff ||
           between(c, 0xfff0, 0xfffb) || between(c, 0xe0000, 0xe0fff);
}

static void put_escaped(uint32_t c, sl_buffer *out) {
    if (c == '\n') sl_buffer_puts(out, "\\n");
    else if (c == '\t') sl_buffer_puts(out, "\\t");
    else if (c == '\r') sl_buffer_puts(out, "\\r");
    else if (c > 0xffff) sl_buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
    else sl_buffer_printf(out, "\\u%04x", c);
}

/* The characters of text, at most `most` of them (0: all). quoted: for a JSON string. */
static void put_text(const char *text, size_t len, int most, bool quoted, bool utf8, sl_buffer *out) {
    int count = 0, n;
    for (size_t i = 0; i < len; i += (size_t)n, count++) {
        if (most && count == most) {
            sl_buffer_puts(out, utf8 ? "…" : "...");
            return;
        }
        bool good = sl_utf8_next(text + i, len - i, &n) == SL_UTF8_GOOD;
        uint32_t c = good ? sl_utf8_point(text + i) : 0xfffd;
        if (hidden(c) || (!utf8 && c > 0x7e)) put_escaped(c, out);
        else if (quoted && (c == '"' || c == '\\')) sl_buffer_printf(out, "\\%c", (char)c);
        else if (good) sl_buffer_append(out, text + i, (size_t)n);
        else sl_buffer_puts(out, "\xef\xbf\xbd");
    }
}

void sl_words_quoted(const char *text, size_t len, int most, bool utf8, sl_buffer *out) {
    sl_buffer_puts(out, "\"");
    put_text(text, len, most, true, utf8, out);
    sl_buffer_puts(out, "\"");
}

void sl_words_line(const char *text, sl_buffer *out) { put_text(text, strlen(text), 0, false, true, out); }
