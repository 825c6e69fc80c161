/* utf8.h: reading UTF-8 that may be broken.
 * Any thread; pure. Surrogates, overlong forms and numbers over U+10FFFF are not well-formed.
 *
 * A maximal ill-formed part is what one U+FFFD stands for (Unicode 3.9, as Python's bytes.decode(errors="replace") does):
 * as many bytes as begin a character and still could, at least one. F0 9F 98 78 is one such part of three bytes and an x. */
#ifndef SL_BASE_UTF8_H
#define SL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum sl_utf8 {
    SL_UTF8_GOOD,  /* a character of *ret_len bytes */
    SL_UTF8_BAD,   /* a maximal ill-formed part of *ret_len bytes */
    SL_UTF8_SHORT, /* the text ends inside what may become a character; *ret_len bytes of it are there */
} sl_utf8;
sl_utf8 sl_utf8_next(const char *text, size_t len, int *ret_len); /* len > 0 */
uint32_t sl_utf8_point(const char *text);                         /* the code point of a well-formed character */

bool sl_utf8_valid(const char *text, size_t len);
size_t sl_utf8_prefix(const char *text, size_t len); /* bytes of the well-formed beginning */

/* Characters (code points) of well-formed text. Of text cut between two bytes: those that begin in it. */
size_t sl_utf8_count(const char *text, size_t len);

#endif
