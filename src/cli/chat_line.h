/* chat_line.h: what a person types, or what a pipe holds, message by message.
 * The main thread. One reader a process: it owns standard input, and the terminal while a message is typed.
 *
 * On a terminal libedit edits the line and knows those before it (history, in memory alone). Text that is pasted is one piece of one
 * message, however many lines it has: the terminal is asked to mark it (bracketed paste), and its newlines end nothing. Otherwise each
 * line is a message. Either way a line that ends in a backslash goes on in the next. */
#ifndef SL_CLI_CHAT_LINE_H
#define SL_CLI_CHAT_LINE_H

#include "base/buffer.h"
#include "base/error.h"

typedef struct sl_line_reader sl_line_reader;

sl_status sl_line_reader_open(sl_line_reader **ret, sl_error *e);
sl_line_reader *sl_line_reader_close(sl_line_reader *r); /* NULL is fine; returns NULL */

/* Is it a terminal, so that somebody types? */
bool sl_line_reader_edits(const sl_line_reader *r);

/* From now until a message is there, Ctrl-C is a key, no signal. */
void sl_line_reader_begin(sl_line_reader *r);

typedef enum sl_line {
    SL_LINE_TEXT,    /* a message, without its last newline; UTF-8 if what was typed or read is */
    SL_LINE_CLEARED, /* Ctrl-C: what was typed is thrown away */
    SL_LINE_END,     /* Ctrl-D on an empty line, the end of the file, or it cannot be read */
} sl_line;

/* Replaces *text. *ret_empty: of SL_LINE_CLEARED: there was nothing to throw away. */
sl_line sl_line_reader_next(sl_line_reader *r, sl_buffer *text, bool *ret_empty);

#endif
