/* stop.h: stop strings across token boundaries.
 * Engine thread; one sl__held a sequence, its memory reserved at admission.
 *
 * Text goes in as it becomes certain and comes out as soon as it cannot be the beginning of a stop string any more, so at
 * most the longest stop string less one byte of text is held back. Cuts fall between characters: stop strings are UTF-8, so
 * a match begins where a character begins.
 *
 * Special tokens are usually not shown, but a stop string may name them ("\n<|im_start|>"). Their spelling then goes in as
 * hidden text: a stop string that names a special token is matched over all text, one that names none over what is shown. */
#ifndef SL_ENGINE_STOP_H
#define SL_ENGINE_STOP_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sl__stops {
    const char *const *text; /* [count] */
    const size_t *len;
    int count;
    size_t longest;
    bool keep;               /* the stop string stays in the text */
    bool hidden;             /* some stop string names a special token, and special tokens are not shown */
    const bool *special;     /* [count] it does; NULL: none */
    const int32_t *token;    /* [count] the special token that the whole string spells, or -1; NULL: none */
} sl__stops;

/* Text that may still be the beginning of a stop string. */
typedef struct sl__held {
    sl_buffer text;
    sl_buffer hidden; /* a byte for each of text, 1: not shown; only while stop strings name special tokens, else empty */
} sl__held;

/* Moves from `held` to `out` what may be shown; held.text[0 … known) was there before. Returns the number of the stop string
 * that ends in the new text (of several the one that begins first, of those the first in the list), or -1. After a match
 * `held` is empty.
 * match false (before min_tokens): a stop string that ends in the new text does not count and is shown; but its beginning is
 * held back as ever, so that one that begins before min_tokens and ends after it counts. */
int sl__stops_feed(const sl__stops *s, sl__held *held, size_t known, bool match, sl_buffer *out);

/* A special token's spelling, which is not shown, after what is held. */
void sl__held_hide(sl__held *held, const char *text, size_t len);
/* Moves all of it, less what is hidden, to out: no stop string will be completed. */
void sl__held_flush(sl__held *held, sl_buffer *out);
void sl__held_done(sl__held *held);

#endif
