/* pages.h: who has which KV page.
 * Engine thread. A page holds SL_PAGE positions of all layers; where its bytes lie is forward's business.
 *
 * Invariants
 *   1. A page is free (count 0, on the stack) or held by `count` sequences.
 *   2. A page held by more than one sequence is full when the step ends and never written again: sequences share whole
 *      pages only, at the earliest in the step that fills them. */
#ifndef SL_ENGINE_PAGES_H
#define SL_ENGINE_PAGES_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

typedef struct sl__pages {
    int32_t *free;   /* [total] stack */
    uint16_t *count; /* [total] holders */
    int total, free_count;
} sl__pages;

sl_status sl__pages_init(sl__pages *p, int total, sl_arena *a, sl_error *e);
int32_t sl__pages_take(sl__pages *p);              /* -1: none is free */
void sl__pages_share(sl__pages *p, int32_t page);  /* one holder more */
void sl__pages_drop(sl__pages *p, int32_t page);   /* one holder less; free at none */

#endif
