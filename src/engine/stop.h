/* stop.h: stop strings across token boundaries.
 * Engine thread; one matcher a sequence, memory of its own from the request.
 *
 * Text goes in as it becomes certain and comes out as soon as it cannot be the beginning of a stop string any more, so at
 * most the longest stop string less one byte is held back. Cuts fall between characters: stop strings are UTF-8, so a match
 * begins where a character begins. */
#ifndef SL_ENGINE_STOP_H
#define SL_ENGINE_STOP_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sl__stops {
    const char *const *text; /* [count] */
    const size_t *len;
    int count;
    size_t longest;
    bool keep; /* the stop string stays in the text */
} sl__stops;

/* Moves from `held` to `out` what may be shown; held[0 … known) was there before. Returns the number of the stop string that
 * ends in the new text (the earliest beginning; of several at one place the first in the list), or -1. After a match `held`
 * is empty. match false (before min_tokens): none is looked for, but one that begins here may end later. */
int sl__stops_feed(const sl__stops *s, sl_buffer *held, size_t known, bool match, sl_buffer *out);

#endif
