/* words.h: text of strangers (tokens of a corpus, names of files and models) on its way to a person.
 * Any thread; pure.
 *
 * Nothing in it may move a terminal's cursor, or make a browser show other text in another order: controls, and characters that
 * are not seen themselves but change how others are shown, are written as \n, \u202e. */
#ifndef SL_CLI_WORDS_H
#define SL_CLI_WORDS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* As a JSON string, which shows the blanks at its ends. most: characters, then "…"; 0: all. utf8: false writes other characters than
 * ASCII as \u…, and "..." */
void sl_words_quoted(const char *text, size_t len, int most, bool utf8, sl_buffer *out);
/* As one line. */
void sl_words_line(const char *text, sl_buffer *out);

#endif
