/* chat_show.h: how an answer looks: plain text where it goes to a file or a pipe, with what is beside it on a terminal.
 * The main thread. */
#ifndef SL_CLI_CHAT_SHOW_H
#define SL_CLI_CHAT_SHOW_H

#include "chat/think.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_show {
    bool terminal; /* standard output is one: then no control character of an answer reaches it */
    bool grey;     /* it may have colours: a terminal, and no NO_COLOR */
    bool held;     /* the first byte of what may be a control character, U+0080 to U+009F */
    int error;     /* errno of standard output; then nothing more is written */
} sl_show;

void sl_show_init(sl_show *w);

/* Text as it comes. */
void sl_show_text(sl_show *w, const char *text, size_t len);
/* What the model thinks: on a terminal alone, in grey or between its marks (NULL: it has none; the usual ones). Begins and ends once an answer. */
void sl_show_thinking(sl_show *w, const sl_marks *m, bool begins);

/* A line beside the answer, to standard error, without its newline; grey if it may be. */
void sl_show_note(const sl_show *w, const char *text);

#endif
