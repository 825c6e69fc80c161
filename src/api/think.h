/* think.h: an answer's text is split into what the model thinks and what it says.
 * Loop thread; pure. A splitter belongs to one choice.
 *
 * An answer thinks from its first mark ("<think>"), if it begins with that but for white space, or from its start where the prompt
 * opened it, up to the second mark ("</think>") or its end. White space next to the marks belongs to neither part. A mark later in
 * what is said is text. */
#ifndef SL_API_THINK_H
#define SL_API_THINK_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sl__marks {
    const char *open, *close; /* at most 24 bytes each */
} sl__marks;

extern const sl__marks sl__known_marks[]; /* by which models think; ends with one without text */

#define SL__THINK_HELD 64

/* Zero-initialised for an answer that begins; stage SL__THINK_BEGUN where the prompt opened the thinking. */
typedef struct sl__think {
    enum {
        SL__THINK_UNKNOWN, /* white space at most */
        SL__THINK_BEGUN,   /* white space after the first mark */
        SL__THINK_INSIDE,
        SL__THINK_ENDED, /* white space after the second mark */
        SL__THINK_SAYS,  /* what is said */
    } stage;
    char held[SL__THINK_HELD]; /* what may turn out to belong to a mark, or to be white space before one */
    size_t held_len;
} sl__think;

/* Appends what is certain by now. */
void sl__think_feed(sl__think *t, const sl__marks *m, const char *text, size_t len, sl_buffer *thought, sl_buffer *said);
void sl__think_end(sl__think *t, sl_buffer *thought, sl_buffer *said); /* the answer has ended */
/* A mark that is a token without text came. */
void sl__think_open(sl__think *t);
void sl__think_close(sl__think *t, sl_buffer *thought);

/* How a text leaves it: does the thinking that it opens go on behind it? *ret is left alone where there is no mark. */
void sl__think_left_open(const sl__marks *m, const char *text, size_t len, bool *ret);

#endif
