/* think.h: an answer's text is split into what the model thinks and what it says.
 * Any one thread; pure. A splitter belongs to one answer.
 *
 * An answer thinks from its first mark ("<think>"), if it begins with that but for white space, or from its start where the prompt
 * opened it, up to the second mark ("</think>") or its end. White space next to the marks belongs to neither part. A mark later in
 * what is said is text. Some models write a word after the first mark ("thought"), which belongs to it.
 *
 * Of models with channels (gpt-oss) an answer is messages, each with a header, and tokens without text stand between:
 *     [channel] analysis [message] what it thinks [end] [start] assistant [channel] final [message] what it says
 * What is in the channel "analysis" is thought, what is in any other is said, and headers are neither. A message to a tool,
 *     [channel] commentary to=functions.f [constrain] json [message] {…}      or      to=functions.f [channel] commentary …
 * is not said to the user: it is thought, behind a line that names the tool. A message begins on a line of its own. What stands in
 * no message is said. */
#ifndef SL_CHAT_THINK_H
#define SL_CHAT_THINK_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_marks {
    const char *open, *close; /* at most 24 bytes each */
    const char *word;         /* after the first one, likewise; NULL: none */
} sl_marks;

extern const sl_marks sl_known_marks[]; /* by which models think; ends with one without text */

#define SL_THINK_HELD 64
#define SL_THINK_HEADER_MOST 160 /* bytes of a message's header; a longer one is none */

/* The tokens between an answer's messages. */
typedef struct sl_channels {
    bool there; /* false: the model has none */
    int channel, message, start, end;
    int constrain; /* stands before what a message's text is written in, inside its header; -1: none */
} sl_channels;

/* Zero-initialised for an answer that begins; stage SL_THINK_BEGUN where the prompt opened the thinking. */
typedef struct sl_think {
    enum {
        SL_THINK_UNKNOWN, /* white space at most */
        SL_THINK_WORD,    /* the beginning of the first mark's word */
        SL_THINK_BEGUN,   /* white space after the first mark and its word */
        SL_THINK_INSIDE,
        SL_THINK_ENDED, /* white space after the second mark */
        SL_THINK_SAYS,  /* what is said */
        SL_THINK_HEADER, /* of a message */
    } stage;
    char held[SL_THINK_HEADER_MOST]; /* what may turn out to belong to a mark, or to be white space before one; a header */
    size_t held_len;
    size_t to_len; /* of a header: bytes at its beginning that say whom the message is for */
    bool thought, said; /* is there a message of the kind? */
} sl_think;

/* Appends what is certain by now. */
void sl_think_feed(sl_think *t, const sl_marks *m, const char *text, size_t len, sl_buffer *thought, sl_buffer *said);
void sl_think_end(sl_think *t, sl_buffer *thought, sl_buffer *said); /* the answer has ended */
/* A mark that is a token without text came. */
void sl_think_open(sl_think *t, const sl_marks *m);
void sl_think_close(sl_think *t, sl_buffer *thought);

/* Of models with channels, in place of these: text, and a token after it. */
void sl_channels_feed(sl_think *t, const char *text, size_t len, sl_buffer *thought, sl_buffer *said);
void sl_channels_token(sl_think *t, const sl_channels *c, int token, sl_buffer *thought, sl_buffer *said);

/* How a text leaves it: does the thinking that it opens go on behind it? *ret is left alone where there is no mark. */
void sl_think_left_open(const sl_marks *m, const char *text, size_t len, bool *ret);

#endif
