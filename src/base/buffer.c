/* buffer.c */
#include "base/buffer.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/internal.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool sl_buffer_reserve(sl_buffer *b, size_t more) {
    size_t want;
    if (b->failed) return false;
    if (!sl_add(b->len, more, &want)) goto fail;
    if (want <= b->cap) return true;
    size_t cap = b->cap < 128 ? 128 : b->cap;
    while (cap < want)
        if (!sl_mul(cap, 2, &cap)) goto fail;
    char *data = sl_realloc(b->data, cap, 1);
    if (!data) goto fail;
    b->data = data;
    b->cap = cap;
    return true;
fail:
    b->failed = true;
    return false;
}

void sl_buffer_append(sl_buffer *b, const void *data, size_t len) {
    if (!len || !sl_buffer_reserve(b, len)) return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void sl_buffer_puts(sl_buffer *b, const char *text) { sl_buffer_append(b, text, strlen(text)); }

void sl_buffer_printf(sl_buffer *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof small, fmt, args);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        sl_buffer_append(b, small, (size_t)n);
    } else if (sl_buffer_reserve(b, (size_t)n + 1)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void sl_buffer_json(sl_buffer *b, const char *text, size_t len) {
    sl_buffer_append(b, "\"", 1);
    sl_buffer_json_inside(b, text, len);
    sl_buffer_append(b, "\"", 1);
}

void sl_buffer_json_inside(sl_buffer *b, const char *text, size_t len) {
    size_t i = 0;
    while (i < len && !b->failed) {
        size_t plain = i;
        while (plain < len && (unsigned char)text[plain] >= 0x20 && (unsigned char)text[plain] < 0x7F &&
               text[plain] != '"' && text[plain] != '\\')
            plain++;
        sl_buffer_append(b, text + i, plain - i);
        i = plain;
        if (i == len) break;
        char out[SL__ESCAPE_MAX];
        size_t n;
        i += sl__json_escape(text + i, len - i, out, &n);
        sl_buffer_append(b, out, n);
    }
}

void sl_buffer_utf8(sl_buffer *b, const char *text, size_t len) {
    while (len) {
        size_t good = sl_utf8_prefix(text, len);
        sl_buffer_append(b, text, good);
        text += good;
        len -= good;
        if (!len) break;
        int bad;
        sl_utf8_next(text, len, &bad);
        sl_buffer_append(b, "\xEF\xBF\xBD", 3);
        text += bad;
        len -= (size_t)bad;
    }
}

void sl_buffer_int(sl_buffer *b, long long x) {
    char digits[24], *at = digits + sizeof digits;
    unsigned long long rest = x < 0 ? 0 - (unsigned long long)x : (unsigned long long)x;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (x < 0) *--at = '-';
    sl_buffer_append(b, at, (size_t)(digits + sizeof digits - at));
}

void sl_buffer_float(sl_buffer *b, float x) { sl_buffer_printf(b, "%.9g", (double)x); }

void sl_buffer_consume(sl_buffer *b, size_t n) {
    if (n > b->len) n = b->len;
    if (!n) return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

const char *sl_buffer_text(sl_buffer *b) {
    if (!sl_buffer_reserve(b, 1)) return "";
    b->data[b->len] = 0;
    return b->data;
}

void sl_buffer_clear(sl_buffer *b) {
    b->len = 0;
    b->failed = false;
}

void sl_buffer_done(sl_buffer *b) {
    sl_free(b->data);
    *b = (sl_buffer){0};
}
