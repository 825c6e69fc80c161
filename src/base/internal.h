/* internal.h: what the files of base/ share.
 * Any thread; pure. */
#ifndef SL_BASE_INTERNAL_H
#define SL_BASE_INTERNAL_H

#include <stddef.h>

#define SL__ESCAPE_MAX 8 /* bytes that one call of sl__json_escape can write */

/* Length (1 … 4) of the well-formed UTF-8 character at s, or 0; n bytes are there. Surrogates, overlong forms and
 * numbers over U+10FFFF are not well-formed. */
size_t sl__utf8_char(const char *s, size_t n);

/* Writes the next character of s (n > 0 bytes) as it stands inside a JSON string; a byte that is not UTF-8 becomes
 * U+FFFD. Returns how many bytes of s it used. */
size_t sl__json_escape(const char *s, size_t n, char ret[SL__ESCAPE_MAX], size_t *ret_len);

#endif
