/* kept.h: who holds which of so many things (KV pages, window pages, slots of state), and which are kept for those that come later.
 * Engine thread. A thing is a number here; where its bytes lie and what they mean is others' business.
 *
 *     FREE ──take──► HELD ──drop, the last holder: of use to those that come later──► KEPT
 *      ▲               │ drop, the last holder: of use to nobody    ▲                  │ │
 *      ├───────────────┘                                            └──────share───────┤ │
 *      ├──free─────────────────────────────────────────────────────────────────────────┘ │
 *      a HELD one of somebody else ◄──take, when none is free────────────────────────────┘
 *
 * Invariants
 *   1. One is held by `holders`, or stands in one place: free, or kept.
 *   2. Of those that are free the one dropped last is taken first, as its memory has been used; of those kept the one dropped
 *      first. */
#ifndef SL_ENGINE_KEPT_H
#define SL_ENGINE_KEPT_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

/* In the order in which they are taken from. */
typedef enum sl__place { SL__FREE, SL__KEPT, SL__KEPT_LONGER, SL__PLACES } sl__place;

typedef struct sl__link {
    int32_t before, after;
} sl__link;

typedef struct sl__kept {
    sl__link *link;    /* [total + SL__PLACES] a ring for each place: its end, then who stands there in the order of taking */
    uint16_t *holders; /* [total] */
    int total, free_count, kept_count;
    int evicted;       /* kept ones that were taken; whoever counts them sets it to 0 */
} sl__kept;

size_t sl__kept_bytes(int total); /* what init takes */
/* what: of the message, if there is no memory. 0 in all: nothing may be called then but _available. */
sl_status sl__kept_init(sl__kept *k, int total, const char *what, sl_arena *a, sl_error *e);

int32_t sl__kept_take(sl__kept *k);                         /* has one holder then; -1: all are held */
void sl__kept_share(sl__kept *k, int32_t i);                /* one holder more, of one that is held or kept */
void sl__kept_drop(sl__kept *k, int32_t i, sl__place place); /* one holder less; at none it stands there */
void sl__kept_free(sl__kept *k, int32_t i);                 /* kept until now */

static inline int sl__kept_available(const sl__kept *k) { return k->free_count + k->kept_count; } /* that can be taken */

#endif
