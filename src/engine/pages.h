/* pages.h: who has which KV page, and which pages are kept for those that come later.
 * Engine thread. A page holds SL_PAGE positions of all layers but those with a window, which have pages of their own (attached.h);
 * where its bytes lie is forward's business, which tokens it holds prefix.h's. Where every layer has a window a page has no bytes,
 * but its number still stands for its tokens.
 *
 *     FREE ──take──► HELD ──publish: full, its step succeeded──► HELD and known ──last holder drops it──► KEPT
 *      ▲               │ last holder drops it                          ▲                                  │ │
 *      └───────────────┘                                               └───────────────find───────────────┘ │
 *      a HELD page of somebody else ◄──take, when none is free: the one that was dropped first──────────────┘
 *
 * Keys and values depend on the tokens up to them alone (forward.h), so a known page stands for computing it: sequences with
 * the same beginning hold the same pages, choices of one prompt as well as turns of a conversation. Whoever runs never loses
 * a page to one that is kept: kept pages are as good as free ones, and are asked for only when no page is free.
 *
 * Invariants
 *   1. A page is free, held by sequences, or kept: known and held by nobody (kept.h).
 *   2. A known page is full and never written again.
 *   3. Who holds a known page holds all those above it, and drops them after it. So of a prefix the last pages have been
 *      kept for longest, and go first: what is left of it is a prefix again (prefix.h, invariant 2). */
#ifndef SL_ENGINE_PAGES_H
#define SL_ENGINE_PAGES_H

#include "engine/attached.h"
#include "engine/prefix.h"

typedef struct sl__pages {
    sl__kept kept;
    bool keep;            /* false: a page that nobody holds is free */
    sl__prefix prefix;
    sl__attached states;  /* saved after known pages, where the model keeps a state; else none */
    sl__attached windows; /* of known pages, where layers have a window; else none */
    sl_kv_window widest;  /* of those layers */
    int ctx;              /* positions of the longest sequence; of models with such layers */
} sl__pages;

size_t sl__pages_bytes(int total); /* what init takes, without states and windows */
sl_status sl__pages_init(sl__pages *p, int total, bool keep, sl_arena *a, sl_error *e);
sl_status sl__pages_windows(sl__pages *p, int total, const sl_hparams *hp, int ctx, sl_arena *a, sl_error *e); /* so many window pages */

int32_t sl__pages_take(sl__pages *p);             /* -1: all are held */
void sl__pages_share(sl__pages *p, int32_t page); /* one holder more */
void sl__pages_drop(sl__pages *p, int32_t page);  /* one holder less; free or kept at none */

/* A page, and a window page where layers have a window, can be taken. */
static inline bool sl__pages_left(const sl__pages *p) {
    return sl__kept_available(&p->kept) > 0 && (!p->windows.kept.total || sl__kept_available(&p->windows.kept) > 0);
}

/* The first page of a sequence, counted from its beginning, of which a row at the position or a later one needs the window page. */
static inline int sl__pages_first_window(const sl__pages *p, int position) { return sl_kv_first_in(p->widest, position) / SL_PAGE; }

/* The known page with these tokens [SL_PAGE] below `above` (a page that the caller holds, or SL__ROOT), which has the caller
 * as one holder more; -1: none. */
int32_t sl__pages_find(sl__pages *p, int32_t above, uint64_t salt, const int32_t *token);

/* Makes a page known that the caller alone holds. Returns the page that the caller holds from now on: where another one with
 * the same contents is known already, that one, and `page` is dropped. */
int32_t sl__pages_publish(sl__pages *p, int32_t page, int32_t above, uint64_t salt, const int32_t *token);

#endif
