/* utf8.h: what is well-formed UTF-8, and how many characters it has.
 * Any thread; pure. Surrogates, overlong forms and numbers over U+10FFFF are not well-formed. */
#ifndef SL_BASE_UTF8_H
#define SL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool sl_utf8_valid(const char *text, size_t len);

/* Characters (code points) of well-formed text. Of text cut between two bytes: those that begin in it. */
size_t sl_utf8_count(const char *text, size_t len);

#endif
