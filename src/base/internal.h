/* internal.h: what the files of base/ share.
 * Any thread; pure. */
#ifndef SL_BASE_INTERNAL_H
#define SL_BASE_INTERNAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL__ESCAPE_MAX 8 /* bytes that one call of sl__json_escape can write */

/* Length (1 … 4) of the well-formed UTF-8 character at s, or 0; n bytes are there. Surrogates, overlong forms and
 * numbers over U+10FFFF are not well-formed. */
size_t sl__utf8_char(const char *s, size_t n);

/* Makes a text in a buffer of `size` bytes fit to be shown: control characters become spaces, bytes that are no UTF-8 '?',
 * and a character that the buffer's end has cut goes. */
void sl__tidy(char *text, size_t size);

/* SipHash-1-3 under a key. */
uint64_t sl__siphash(const void *data, size_t len, uint64_t key0, uint64_t key1);

/* Writes the next character of s (n > 0 bytes) as it stands inside a JSON string; a byte that is not UTF-8 becomes
 * U+FFFD. Returns how many bytes of s it used. */
size_t sl__json_escape(const char *s, size_t n, char ret[SL__ESCAPE_MAX], size_t *ret_len);

/* json_text.c: a JSON text on its way to jansson. */
typedef struct sl__json_text {
    const char *text; /* [len] the caller's; afterwards what jansson may read */
    size_t len;
    uint64_t most;    /* bytes that reading it may cost */
    uint64_t cost;    /* afterwards: bytes that it may cost at most */
    bool deep;        /* afterwards: nests deeper than SL_JSON_DEPTH; it must not be read */
    bool nul;         /* afterwards: it has a NUL where no JSON has one; it must not be read either */
    char *copy;       /* afterwards: to be freed, NULL when none was needed */
} sl__json_text;

/* python: what Python's json writes beyond JSON (NaN, Infinity) is read as well. Where the text is too deep or costs more
 * than t->most nothing else is done. SL_NOMEM: no memory for the copy. */
sl_status sl__json_prepare(sl__json_text *t, bool python);

#endif
