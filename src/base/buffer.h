/* buffer.h: a byte string that grows.
 * One thread at a time; the holder owns it. Zero-initialised is empty and valid.
 *
 * Appending never reports failure on its own: when memory runs out `failed` is set and stays set, nothing more is
 * appended, and whoever uses the result checks it once. */
#ifndef SL_BASE_BUFFER_H
#define SL_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_buffer {
    char *data; /* NULL while cap is 0; not NUL-terminated unless sl_buffer_text() was called */
    size_t len, cap;
    bool failed;
} sl_buffer;

void sl_buffer_append(sl_buffer *b, const void *data, size_t len);
void sl_buffer_puts(sl_buffer *b, const char *text);
void sl_buffer_printf(sl_buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sl_buffer_json(sl_buffer *b, const char *text, size_t len); /* a JSON string with its quotes; bad UTF-8 becomes U+FFFD */
void sl_buffer_json_inside(sl_buffer *b, const char *text, size_t len); /* the same without quotes, for a string in pieces */
void sl_buffer_utf8(sl_buffer *b, const char *text, size_t len); /* U+FFFD for each maximal ill-formed part (base/utf8.h) */
void sl_buffer_int(sl_buffer *b, long long x);                    /* decimal; for arrays of many: 20 times as fast as printf */
void sl_buffer_float(sl_buffer *b, float x);                     /* 9 significant digits, gives the same float back; never
                                                                  * NaN/inf in JSON: caller decides */
bool sl_buffer_reserve(sl_buffer *b, size_t more);               /* room for `more` bytes without moving; false: failed */
void sl_buffer_consume(sl_buffer *b, size_t n);                  /* drops the first n bytes */
const char *sl_buffer_text(sl_buffer *b);                        /* NUL-terminated; "" if failed */
void sl_buffer_clear(sl_buffer *b);                              /* empty and not failed, keeps its memory */
void sl_buffer_done(sl_buffer *b);                               /* frees; b is empty and valid again */

#endif
